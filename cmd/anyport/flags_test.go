package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// asking are the commands that ask a running anyport, each with the arguments that it needs.
var asking = []string{
	"status", "status --drift", "flows", "trace", "top --count 1", "reload --dry-run", "drain --undo", "confirm", "upgrade", "explain tcp 192.0.2.1:80",
}

// TestWhereToAsk: -c and --socket both say where to ask, so they exclude each other; an empty --socket,
// such as that of an unset shell variable, is refused too, or the default anyport would be asked.
func TestWhereToAsk(t *testing.T) {
	f := serve(t)
	file := write(t, t.TempDir(), "anyport.toml", goodFile)
	for _, args := range asking {
		for flags, want := range map[string]string{
			"-c " + file + " --socket " + f.socket: "-c and --socket both say where to ask: give one of them",
			"--socket=":                            `--socket "": name a socket, or leave it out`,
			"-c " + file + " --socket=":            `--socket "": name a socket, or leave it out`,
		} {
			status, stdout, stderr := run(strings.Fields(args + " " + flags)...)
			if status != exitUsage || stdout != "" || !strings.Contains(stderr, "anyport: "+want+"\nSee \"anyport ") {
				t.Errorf("%s %s: %d, %q, %q", args, flags, status, stdout, stderr)
			}
		}
	}
	if len(f.asked) > 0 {
		t.Errorf("asked %q", f.asked)
	}
}

// TestEmptyFlags: an empty value is refused where it would mean something else, such as all routes.
func TestEmptyFlags(t *testing.T) {
	f := serve(t)
	for args, want := range map[string]string{
		"drain --route=":                       `--route "": name a route, or leave it out for all of them`,
		"flows --route=":                       `--route "": name a route, or leave it out for all of them`,
		"upgrade --binary=":                    `--binary "": name a binary, or leave it out for the one that is running`,
		"explain tcp 192.0.2.1:80 --from=":     `--from "": name an address, or leave it out`,
		"explain tcp 192.0.2.1:80 --from= -c ": `--from "": name an address, or leave it out`,
	} {
		words := append(strings.Fields(args), "--socket", f.socket)
		if strings.HasSuffix(args, "-c ") {
			words = append(strings.Fields(args), write(t, t.TempDir(), "a.toml", goodFile))
		}
		status, stdout, stderr := run(words...)
		if status != exitUsage || stdout != "" || !strings.HasPrefix(stderr, "anyport: "+want+"\n") {
			t.Errorf("%s: %d, %q, %q", args, status, stdout, stderr)
		}
	}
	if len(f.asked) > 0 {
		t.Errorf("asked %q", f.asked)
	}
}

// TestFlagsOfEachCommand: a flag has one meaning in all commands, with one letter and one help text.
func TestFlagsOfEachCommand(t *testing.T) {
	file, socket, json := []string{}, []string{}, []string{}
	for _, cmd := range newRoot().Commands() {
		if c := cmd.Flags().Lookup("config"); c != nil {
			file = append(file, cmd.Name())
			if c.Shorthand != "c" || c.DefValue != "/etc/anyport/anyport.toml" {
				t.Errorf("%s has -c as %q, with the default %q", cmd.Name(), c.Shorthand, c.DefValue)
			}
		}
		if cmd.Flags().Lookup("socket") != nil {
			socket = append(socket, cmd.Name())
		}
		if j := cmd.Flags().Lookup("json"); j != nil {
			json = append(json, cmd.Name())
			want := "print one JSON object"
			if cmd.Name() == "trace" || cmd.Name() == "push" { // they say what happens meanwhile
				want = "print a JSON object in each line"
			}
			if j.Usage != want {
				t.Errorf("%s --json: %q", cmd.Name(), j.Usage)
			}
		}
		if !strings.HasPrefix(cmd.Use, cmd.Name()) {
			t.Errorf("%s is used as %q", cmd.Name(), cmd.Use)
		}
	}
	for what, is := range map[string]struct{ got, want string }{
		"-c":       {strings.Join(file, " "), "check confirm doctor drain explain fleet flows fmt kill origins push reload routes run scans status sysdump top trace unload upgrade"},
		"--socket": {strings.Join(socket, " "), "confirm drain explain fleet flows kill origins reload routes scans status sysdump top trace upgrade"},
		"--json":   {strings.Join(json, " "), "doctor fleet flows origins push reload routes scans status trace"},
	} {
		if is.got != is.want {
			t.Errorf("%s is a flag of %s, want %s", what, is.got, is.want)
		}
	}
}

// TestUseNamesEveryFlag: the line "Usage:" of a command names all of its flags.
func TestUseNamesEveryFlag(t *testing.T) {
	for _, cmd := range newRoot().Commands() {
		for _, line := range strings.Split(cmd.LocalFlags().FlagUsages(), "\n") {
			words := strings.Fields(line)
			if len(words) == 0 || strings.Contains(line, "help for") {
				continue
			}
			flag := strings.TrimSuffix(words[0], ",") // "-c," of "-c, --config FILE"
			if !strings.Contains(cmd.Use, flag) {
				t.Errorf("%q does not name %s", cmd.Use, flag)
			}
		}
	}
}

// TestUnwantedArguments: a command without arguments refuses one rather than ignore it.
func TestUnwantedArguments(t *testing.T) {
	for _, cmd := range newRoot().Commands() {
		switch cmd.Name() {
		case "check", "explain", "completion", "fmt", "help", "import", "kill", "knock", "man", "sysdump": // they have arguments
			continue
		}
		status, stdout, stderr := run(cmd.Name(), "extra")
		if status != exitUsage || stdout != "" || !strings.Contains(stderr, cmd.Name()+` takes no argument such as "extra"`) {
			t.Errorf("%s: %d, %q, %q", cmd.Name(), status, stdout, stderr)
		}
	}
}

// TestFileMissing: a file that was named and is not there is an error of every command that reads it.
func TestFileMissing(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone.toml")
	for _, args := range []string{"check", "run", "unload", "explain tcp 192.0.2.1:80", "status", "reload"} {
		status, stdout, stderr := run(append(strings.Fields(args), "-c", gone)...)
		if status != exitFailed || stdout != "" || !strings.HasPrefix(stderr, "anyport: ") || !strings.Contains(stderr, gone) {
			t.Errorf("%s: %d, %q, %q", args, status, stdout, stderr)
		}
	}
}
