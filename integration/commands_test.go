package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// result is the output and exit status of a command.
type result struct {
	status         int
	stdout, stderr string
}

// anyport runs one command to its end.
func anyport(t *testing.T, args ...string) result {
	t.Helper()
	return command(t, program, args...)
}

func command(t *testing.T, binary string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(binary, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// inFile writes a file for a command to read.
func inFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "anyport.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCommandLines checks the exit status of each command, and that output goes to
// stdout and errors to stderr.
func TestCommandLines(t *testing.T) {
	t.Parallel()
	good := inFile(t, strings.Replace(portsFile, "[25, 8053]", `[25, 8053, "reflectors"]`, 1)) // without a note
	bad := inFile(t, "[route.web]\nprefxes = []\n")
	missing := filepath.Join(t.TempDir(), "missing.toml")
	for _, c := range []struct {
		line   string
		status int
		says   string // on stdout with 0, on stderr else
	}{
		{"version", 0, "anyport "},
		{"--version", 0, "anyport "},
		{"help", 0, "Commands:"},
		{"help explain", 0, "anyport explain -c anyport.toml"},
		{"run --help", 0, "Example"},
		{"completion bash", 0, "__start_anyport"},
		{"completion zsh", 0, "#compdef anyport"},
		{"completion fish", 0, "complete -c anyport"},
		{"check -c " + good, 0, "ok, 4 routes, 4 prefixes"},
		{"check -c " + bad, 1, `did you mean "prefixes"`},
		{"check -c " + missing, 1, missing},
		{"run -c " + bad, 1, `did you mean "prefixes"`},
		{"run -c " + missing, 1, missing},
		{"explain -c " + good + " tcp 192.0.2.7:80", 0, "route: one"},
		{"explain -c " + missing + " tcp 192.0.2.7:80", 1, missing},
		{"status --socket " + missing, 1, missing},
		{"", 2, "a command is missing"},
		{"rum", 2, `did you mean "run"`},
		{"run --fast", 2, "--fast"},
		{"run -c", 2, "-c"},
		{"run now", 2, "now"},
		{"check now", 1, "now"},
		{"completion", 2, "bash"},
		{"schema x", 2, "schema"},
		{"completion tcsh", 2, "tcsh"},
		{"explain tcp", 2, "two arguments"},
		{"explain -c " + good + " sctp 192.0.2.7:80", 2, "sctp"},
		{"explain -c " + good + " tcp 192.0.2.7", 2, "192.0.2.7"},
		{"explain -c " + good + " tcp 192.0.2.7:0", 2, "192.0.2.7:0"},
		{"explain -c " + good + " tcp 192.0.2.7:80 --from me", 2, "me"},
	} {
		got := anyport(t, strings.Fields(c.line)...)
		said, quiet := got.stdout, got.stderr
		if c.status != 0 {
			said, quiet = quiet, said
		}
		if got.status != c.status || !strings.Contains(said, c.says) || quiet != "" {
			t.Errorf("anyport %s: %+v, want status %d and %q", c.line, got, c.status, c.says)
		}
		if strings.ContainsRune(got.stdout+got.stderr, '\x1b') {
			t.Errorf("anyport %s: colour without a terminal", c.line)
		}
	}
}

// TestCheckReportsAll checks that one run of check reports every problem of a file.
func TestCheckReportsAll(t *testing.T) {
	t.Parallel()
	file := inFile(t, `[steering]
unmatched = "reject"
[route.web]
protocol = "sctp"
prefixes = ["192.0.2.0/33"]
origins  = ["10.0.0.5:70000"]
`)
	got := anyport(t, "check", "-c", file)
	for line, word := range map[string]string{":2:": "reject", ":4:": "sctp", ":5:": "192.0.2.0/33", ":6:": "70000"} {
		if _, ok := find(got.stderr, []string{file + line, word}); !ok {
			t.Errorf("no problem of line %s names %s:\n%s", line, word, got.stderr)
		}
	}
}

// TestExplain checks the keys of the output, their order, and the answer itself.
func TestExplain(t *testing.T) {
	t.Parallel()
	file := inFile(t, portsFile+`
deny   = ["198.51.100.0/24"]
`)
	for _, c := range []struct{ question, answer string }{
		{"tcp 192.0.2.9:80", "verdict: steer\nroute: wide\nprefix: 192.0.2.0/24\nports: 1-9999\norigin: 10.0.0.5:4000\n"},
		{"udp [2001:db8:1::7]:80", "verdict: steer\nroute: one\nprefix: 2001:db8:1::7/128\nports: 80\norigin: 10.0.0.6:4000\n"},
		{"tcp 192.0.2.7:20000", "verdict: drop\nroute: silent\nprefix: 192.0.2.0/24\nports: 20000\norigin: -\n"},
		{"tcp 192.0.2.7:8053", "verdict: pass\nroute: host\nprefix: 192.0.2.0/24\nports: 8053\norigin: -\n"},
		{"tcp 192.0.2.7:8053 --from 198.51.100.9", "verdict: deny\nroute: host\n"},
		{"tcp 192.0.2.9:25", "verdict: refuse\nroute: -\n"},
		{"tcp 203.0.113.1:80", "verdict: pass\nroute: -\nprefix: -\n"},
	} {
		got := anyport(t, append([]string{"explain", "-c", file}, strings.Fields(c.question)...)...)
		if got.status != 0 || !strings.HasPrefix(got.stdout, c.answer) || !strings.Contains(got.stdout, "\nbecause: ") {
			t.Errorf("%s: %+v, want %q", c.question, got, c.answer)
		}
		keys := regexp.MustCompile(`(?m)^\w+`).FindAllString(got.stdout, -1)
		if order := slices.Compact(keys); strings.Join(order, " ") != "verdict route prefix ports origin because" {
			t.Errorf("%s: the keys are %v", c.question, order)
		}
	}
}

// TestStatus checks that the JSON holds every key that scripts may rely on, and that it
// counts.
func TestStatus(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.both(t, "10.0.0.5:4000", named("wide"))
	p := r.edge.serveWith(t, portsFile)
	for range 3 {
		conn := r.client.dial(t, "tcp", "192.0.2.9:80")
		if _, err := conn.Write([]byte("who?\n")); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}

	var raw map[string]any
	if err := json.Unmarshal([]byte(anyport(t, "status", "--json", "--socket", p.socket).stdout), &raw); err != nil {
		t.Fatal(err)
	}
	missing := func(in any, keys ...string) {
		t.Helper()
		for _, key := range keys {
			if _, ok := in.(map[string]any)[key]; !ok {
				t.Errorf("no key %q in %v", key, in)
			}
		}
	}
	missing(raw, "version", "pid", "uptime_seconds", "config", "steering", "routes")
	missing(raw["config"], "path", "generation")
	missing(raw["steering"], "attached", "pinned", "program_id", "foreign_programs")
	routes := raw["routes"].([]any)
	if len(routes) != 4 {
		t.Fatalf("%d routes in the status, want 4", len(routes))
	}
	route := routes[0]
	missing(route, "name", "protocol", "prefixes", "ports", "lookups", "refused", "denied", "limited",
		"conns_active", "conns_total", "draining", "origins")
	missing(route.(map[string]any)["origins"].([]any)[0], "address", "up", "forced", "conns_active", "conns_total")

	s := p.status(t)
	if s.PID != p.cmd.Process.Pid || s.Config.Path != p.file || s.Config.Generation != 1 || !s.Steering.Attached || s.Steering.Pinned {
		t.Errorf("status is %+v", s)
	}
	if wide := s.route(t, "wide"); wide.ConnsTotal != 3 || wide.Lookups < 3 || wide.Origins[0].ConnsTotal != 3 {
		t.Errorf("after three conns: %+v", wide)
	}
	if got := anyport(t, "status", "--socket", p.socket); got.status != 0 || !strings.Contains(got.stdout, "wide") {
		t.Errorf("anyport status: %+v", got)
	}
}
