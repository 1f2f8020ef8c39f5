package integration

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestAccessLogOfAnotherUser has the access log in a directory that steering.user may
// not write to, like /var/log. Upgrades and reloads continue with the file, and open
// one that logrotate created. If logrotate creates none, the reload fails and says who
// owns the directory.
func TestAccessLogOfAnotherUser(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.both(t, "10.0.0.5:80", named("origin"))
	logs := t.TempDir()
	access := filepath.Join(logs, "access.log")
	file := fmt.Sprintf("[steering]\nuser = \"65534\"\n[log]\naccess = %q\n", access) + relayFile
	p := r.edge.launchAs(t, runForAll(t, "65534"), file)
	p.expect(t, "msg=serving")
	f := newFamily(t, p)
	ask := func(port int) {
		t.Helper()
		r.reach(t, "origin", dstV4+":80")
		p.accessed(t, access, port)
	}
	ask(80)
	f.upgrade(t)
	ask(80)

	old := filepath.Join(logs, "access.log.1")
	if err := os.Rename(access, old); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(access, nil, 0o640); err != nil { // logrotate's create
		t.Fatal(err)
	}
	if err := os.Chown(access, 65534, -1); err != nil {
		t.Fatal(err)
	}
	f.reload(t)
	p.errors(t)
	ask(80)

	if err := os.Rename(access, old); err != nil {
		t.Fatal(err)
	}
	got := anyport(t, "reload", "--socket", p.socket)
	for _, want := range []string{"not there", logs + " belongs to user root and has mode 0755", "create 0640"} {
		if got.status != 1 || !strings.Contains(got.stderr, want) {
			t.Errorf("a reload that cannot open the new file: %+v, want %q", got, want)
		}
	}
	p.expect(t, "level=ERROR", "reload refused: the old config serves on", "not there")
	if got := r.client.ask("tcp", netip.MustParseAddrPort(dstV4+":80"), "origin"); got != "origin" {
		t.Errorf("without a log to write: %s", got)
	}
	p.accessed(t, old, 80)
}

// accessed waits for a line about a conn in the access log, and then empties the file.
func (p *proxy) accessed(t *testing.T, path string, port int) {
	t.Helper()
	want := fmt.Sprintf(":%d ", port)
	eventually(t, "the access log has a line", func() bool {
		text, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(text), "protocol=tcp") && strings.Contains(string(text), want)
	})
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
}

// reload has the last of the family reload by SIGHUP, and waits for the end of that.
func (f *family) reload(t *testing.T) {
	t.Helper()
	before := f.proxy.status(t).Config.Generation
	if err := syscall.Kill(f.pids[len(f.pids)-1], syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the file is loaded again", func() bool { return f.proxy.status(t).Config.Generation > before })
}

// errors fails the test for each error in the log so far.
func (j *journal) errors(t *testing.T) {
	t.Helper()
	for line := range strings.Lines(j.String()) {
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, `"level":"ERROR"`) {
			t.Errorf("an error in the log: %s", line)
		}
	}
}
