package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBrokenFile checks that a file with errors disables no command: each asks the
// running anyport and reports the errors on stderr. A reload and an upgrade read the
// file, so they are refused, and the process continues to serve.
func TestBrokenFile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.both(t, "10.0.0.5:4000", named("origin"))
	p := r.edge.serveWith(t, allOf("192.0.2.0/24"))
	for name, broken := range map[string]struct{ text, problem string }{
		"wrong":       {allOf("192.0.2.0/33") + "port = 7\n", `2 errors, the first: ` + p.file + `:5:13: route "all": prefixes`},
		"no TOML":     {"[route.all\n", p.file + ":3:1: not TOML"},
		"another key": {"http = \"here\"\n" + allOf("192.0.2.0/24"), p.file + ":3:8: admin.http: "},
	} {
		p.write(t, broken.text)
		for _, order := range []struct{ line, says string }{
			{"status", "all"},
			{"status --json", `"generation": 1`},
			{"flows", "PROTO"},
			{"top --interval 100ms", "all"},
			{"drain --route all", "takes no new conns"},
			{"drain --undo", "takes new conns"},
		} {
			got := anyport(t, append(strings.Fields(order.line), "-c", p.file)...)
			if got.status != 0 || !strings.Contains(got.stdout, order.says) || !brokenNotice(got.stderr, p.file, broken.problem) {
				t.Errorf("%s: anyport %s: %+v", name, order.line, got)
			}
		}
		for _, line := range []string{"reload", "reload --dry-run", "upgrade"} {
			got := anyport(t, append(strings.Fields(line), "-c", p.file)...)
			notice, refusal, _ := strings.Cut(got.stderr, "\n")
			if got.status != 1 || !brokenNotice(notice+"\n", p.file, broken.problem) || !strings.Contains(refusal, "anyport: "+p.file+":") {
				t.Errorf("%s: anyport %s: %+v", name, line, got)
			}
		}
		if pid := p.status(t).PID; pid != p.cmd.Process.Pid {
			t.Errorf("%s: pid %d serves", name, pid)
		}
		r.reach(t, "origin", dstV4+":80")
	}
}

// brokenNotice reports whether text is one line about the broken file.
func brokenNotice(text, file, problem string) bool {
	return strings.Count(text, "\n") == 1 && strings.HasPrefix(text, "anyport: the file is broken") &&
		strings.Contains(text, `"anyport check -c `+file+`"`) && strings.Contains(text, problem)
}

// TestBrokenFileOfDefaultSocket checks that, if the broken file does not name the
// socket, the commands ask on the default socket, provided that the anyport there
// serves this file.
func TestBrokenFileOfDefaultSocket(t *testing.T) {
	t.Parallel()
	edge := newHost(t, "edge")
	if err := edge.Mount("tmpfs", "/run"); err != nil {
		t.Fatal(err)
	}
	file, other := filepath.Join(t.TempDir(), "anyport.toml"), inFile(t, "[admin\n")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(allOf("192.0.2.0/24"))
	run := anyportRun(filepath.Base(file))
	run.Dir = filepath.Dir(file)
	edge.spawn(t, run).expect(t, "msg=serving")

	ask := func(args ...string) (status int, said string) {
		t.Helper()
		p := edge.spawn(t, exec.Command(program, args...))
		return p.wait(t), p.String()
	}
	for _, text := range []string{"[admin\n", "[admin]\nsocket = 7\n"} {
		write(text)
		if status, said := ask("status", "-c", file); status != 0 || !strings.Contains(said, "the file is broken") || !strings.Contains(said, "all") {
			t.Errorf("status with %q: %d, %s", text, status, said)
		}
	}
	if status, said := ask("explain", "tcp", dstV4+":80"); status != 0 || !strings.Contains(said, "file: it cannot be loaded any more") {
		t.Errorf("explain: %d, %s", status, said)
	}
	if status, said := ask("drain", "-c", other); status != 1 || !strings.Contains(said, "serves "+file) || !strings.Contains(said, "--socket") {
		t.Errorf("drain by the broken file of another anyport: %d, %s", status, said)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if status, said := ask("status", "-c", file); status != 0 || !strings.Contains(said, "no such file") {
		t.Errorf("status without the file: %d, %s", status, said)
	}
}
