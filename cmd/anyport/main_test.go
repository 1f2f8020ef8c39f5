package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const goodFile = `
[route.web]
protocol = "tcp"
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
origins  = ["10.0.0.5:8080"]
deny     = ["198.51.100.0/24"]
`

const badFile = `
[route.web]
protocol = "sctp"
prefixes = ["192.0.2.1/24"]
origins  = ["10.0.0.5"]
`

func TestExecute(t *testing.T) {
	dir := t.TempDir()
	good, bad, gone := write(t, dir, "good.toml", goodFile), write(t, dir, "bad.toml", badFile), filepath.Join(dir, "gone.toml")
	nobody := filepath.Join(dir, "admin.sock")
	loose := write(t, dir, "keys", "alice MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n")
	if err := os.Chmod(loose, 0o644); err != nil {
		t.Fatal(err)
	}
	withKeys := func(name, keys string) string {
		return write(t, dir, name, fmt.Sprintf("[knock]\nkeys = %q\n%sknock = [\"spa\"]\n", keys, goodFile))
	}
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	knocks, waits := withKeys("knocks.toml", loose), withKeys("waits.toml", fifo)

	for _, test := range []struct {
		name   string
		args   []string
		status int
		stdout string // a part of it; "" = nothing is printed
		stderr string // likewise
	}{
		{"no command", nil, exitUsage, "", "anyport: a command is missing\nSee \"anyport --help\".\n"},
		{"unknown command", []string{"frobnicate"}, exitUsage, "", `anyport: "frobnicate" is not a command`},
		{"misspelt command", []string{"chekc"}, exitUsage, "", `did you mean "check"?`},
		{"a command nearer than another", []string{"stats"}, exitUsage, "", `did you mean "status"?`},
		{"unknown flag", []string{"run", "--frob"}, exitUsage, "", "anyport: unknown flag: --frob\nSee \"anyport run --help\".\n"},
		{"flag without value", []string{"check", "-c"}, exitUsage, "", "flag needs an argument"},
		{"unwanted argument", []string{"status", good}, exitUsage, "", "status takes no argument such as"},
		{"a file without -c", []string{"check", good}, exitDone, ": ok, ", ""},
		{"two files", []string{"check", good, good}, exitUsage, "", "check takes one file, not 2"},
		{"a file twice", []string{"check", "-c", good, good}, exitUsage, "", "both name a file"},
		{"help", []string{"help"}, exitDone, "Commands:\n", ""},
		{"help of a command", []string{"help", "explain"}, exitDone, "PROTO", ""},
		{"help of none", []string{"help", "frob"}, exitUsage, "", `"frob" is not a command`},
		{"version", []string{"version"}, exitDone, "anyport ", ""},
		{"version flag", []string{"--version"}, exitDone, "anyport ", ""},

		{"check of a good file", []string{"check", "-c", good}, exitDone, good + ": ok, 1 route, 2 prefixes\n", ""},
		{"check of a bad file", []string{"check", "-c", bad}, exitFailed, "", "anyport: " + bad + ":3:12: "},
		{"check of keys that others may read", []string{"check", "-c", knocks}, exitFailed, "", "anyport: [knock] keys: the keys of knocks in " + loose + ": its mode is 0644, so others may open it: chmod 600 " + loose},
		{"check of keys that are no file", []string{"check", "-c", waits}, exitFailed, "", "anyport: [knock] keys: read the keys of knocks: " + fifo + " is a FIFO: put a regular file there"},
		{"check reports every problem", []string{"check", "-c", bad}, exitFailed, "", "\nanyport: " + bad + ":4:13: "},
		{"effective", []string{"check", "--effective", good}, exitDone, "idle_timeout = \"1h0m0s\"  # default\n", ""},
		{"effective of a bad file", []string{"check", "--effective", bad}, exitFailed, "", "\nanyport: " + bad + ":4:13: "},
		{"check of no file", []string{"check", "-c", gone}, exitFailed, "", "no such file"},
		{"run of a bad file", []string{"run", "-c", bad}, exitFailed, "", "anyport: " + bad + ":3:12: "},

		{"explain", []string{"explain", "-c", good, "tcp", "192.0.2.7:80"}, exitDone, "verdict: steer\nroute: web\n", ""},
		{"explain a source", []string{"explain", "-c", good, "tcp", "192.0.2.7:80", "--from", "198.51.100.9"}, exitDone, "verdict: deny\n", ""},
		{"explain nothing", []string{"explain", "-c", good}, exitUsage, "", "two arguments"},
		{"explain sctp", []string{"explain", "-c", good, "sctp", "192.0.2.7:80"}, exitUsage, "", "tcp or udp"},
		{"explain no port", []string{"explain", "-c", good, "tcp", "192.0.2.7"}, exitUsage, "", "an address and a port"},
		{"explain port 0", []string{"explain", "-c", good, "tcp", "192.0.2.7:0"}, exitUsage, "", "from 1 to 65535"},
		{"explain a bad source", []string{"explain", "-c", good, "tcp", "192.0.2.7:80", "--from", "x"}, exitUsage, "", "--from \"x\""},

		{"status of nobody", []string{"status", "--socket", nobody}, exitFailed, "", "no anyport answers on " + nobody},
		{"status of two", []string{"status", "--socket", nobody, "-c", good}, exitUsage, "", "give one of them"},
		{"demo of no port", []string{"demo", "--ports", "0-7"}, exitUsage, "", "from 1 to 65535"},

		{"completion for bash", []string{"completion", "bash"}, exitDone, "__start_anyport", ""},
		{"completion for zsh", []string{"completion", "zsh"}, exitDone, "#compdef anyport", ""},
		{"completion for fish", []string{"completion", "fish"}, exitDone, "complete -c anyport", ""},
		{"completion for tcsh", []string{"completion", "tcsh"}, exitUsage, "", "bash, zsh or fish"},
		{"schema", []string{"schema"}, exitDone, "http://json-schema.org/draft-07/schema#", ""},
		{"schema of a file", []string{"schema", good}, exitUsage, "", "takes no argument"},
		{"completion for nothing", []string{"completion"}, exitUsage, "", "bash, zsh or fish"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if status := execute(test.args, &stdout, &stderr); status != test.status {
				t.Errorf("exit status %d, want %d", status, test.status)
			}
			expect(t, "stdout", stdout.String(), test.stdout)
			expect(t, "stderr", stderr.String(), test.stderr)
		})
	}
}

func expect(t *testing.T, name, got, want string) {
	t.Helper()
	if want == "" && got != "" || !strings.Contains(got, want) {
		t.Errorf("%s has %q, want %q", name, got, want)
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
