package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLogrotate has Debian's logrotate rotate the access log by the file that is shipped, with anyport as an
// unprivileged user and the directory root's: no line is lost, none is in both files, and a new file that
// anyport may not write to makes logrotate fail, with the remedy.
func TestLogrotate(t *testing.T) {
	t.Parallel()
	logrotate, err := exec.LookPath("logrotate")
	if err != nil {
		if os.Getenv("REQUIRE_ROOT") == "1" {
			t.Fatal("needs Debian's logrotate")
		}
		t.Skip("no logrotate here")
	}
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:80", echo)
	logs := t.TempDir()
	access := filepath.Join(logs, "access.log")
	p := r.edge.launchAs(t, runForAll(t, "65534"), fmt.Sprintf("[steering]\nuser = \"65534\"\n[log]\naccess = %q\n", access)+relayFile)
	p.expect(t, "msg=serving")

	shipped, err := os.ReadFile("../deploy/logrotate/anyport")
	if err != nil {
		t.Fatal(err)
	}
	place := strings.NewReplacer("/var/log/anyport", logs, "/usr/local/bin/anyport reload", program+" reload --socket "+p.socket)
	rules := filepath.Join(t.TempDir(), "anyport")
	rotate := func(change ...string) (string, error) {
		text := strings.NewReplacer(change...).Replace(place.Replace(string(shipped)))
		if err := os.WriteFile(rules, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(logrotate, "--force", "--state", rules+".state", rules).CombinedOutput()
		return string(out), err
	}
	lines := func(name string) int {
		text, err := os.ReadFile(filepath.Join(logs, name))
		if err != nil {
			return -1
		}
		return strings.Count(string(text), "event=end")
	}
	r.visit(t, 5)
	eventually(t, "the lines are written", func() bool { return lines("access.log") == 5 })
	if out, err := rotate(); err != nil {
		t.Fatalf("logrotate: %v\n%s", err, out)
	}
	r.visit(t, 3)
	eventually(t, "each file has its lines", func() bool { return lines("access.log.1") == 5 && lines("access.log") == 3 })
	if out, err := rotate("create 0640", "create 0600 root root"); err == nil || !strings.Contains(out, "belongs to user root and has mode 0600") || !strings.Contains(out, "chown ") {
		t.Errorf("logrotate with a file that anyport may not write to: %v\n%s", err, out)
	}
	r.visit(t, 2)
	eventually(t, "lines go on to the old file", func() bool { return lines("access.log.1") == 5 && lines("access.log") == 0 })
}

// TestRotateDuringTrial: a reload for a rotation is refused while a process is on trial, and both processes write to
// the new file all the same.
func TestRotateDuringTrial(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:80", echo)
	access := filepath.Join(t.TempDir(), "access.log")
	p := r.edge.serveWith(t, fmt.Sprintf("[log]\naccess = %q\n", access)+relayFile)
	newFamily(t, p)
	p.shareProcess(t, "99.999%")
	r.visit(t, 1)
	lines := func() int {
		text, _ := os.ReadFile(access)
		return strings.Count(string(text), "event=end")
	}
	eventually(t, "the line is written", func() bool { return lines() == 1 })
	if err := os.Rename(access, access+".1"); err != nil {
		t.Fatal(err)
	}
	if got := anyport(t, "reload", "--socket", p.socket); got.status == 0 {
		t.Errorf("reload: %+v", got)
	}
	eventually(t, "lines are written to the new file", func() bool {
		r.visit(t, 1)
		return lines() > 0
	})
	if p.newSide(t, 2) < 2 {
		t.Error("the process on trial has had no conn")
	}
	p.upgradeIs(t, 0, "", "--back")
}
