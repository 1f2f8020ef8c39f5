package integration

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestAdminRights checks what a process of steering.user may do on the admin socket:
// the same as it could do by signals. It cannot choose what is executed with anyport's
// capabilities, neither by name nor by replacing the binary's file. Root can.
func TestAdminRights(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.both(t, "10.0.0.5:4000", named("origin"))
	own := copyBinary(t, "own")
	const user = "65534"
	p := r.edge.launchAs(t, func(path string) *exec.Cmd {
		give(t, path, user)
		return exec.Command(own, "run", "-c", path)
	}, "[steering]\nuser = \""+user+"\"\n"+allOf("192.0.2.0/24"))
	p.expect(t, "msg=serving")
	f := newFamily(t, p)
	as := func(uid string, args ...string) result {
		t.Helper()
		return command(t, "setpriv", append([]string{"--reuid=" + uid, "--regid=" + uid, "--clear-groups", own}, append(args, "--socket", p.socket)...)...)
	}
	allowed := func(uid string, args ...string) {
		t.Helper()
		if got := as(uid, args...); got.status != 0 {
			t.Errorf("user %s: %s: %+v", uid, args, got)
		}
	}
	refuses := func(uid, reason string, args ...string) {
		t.Helper()
		if got := as(uid, args...); got.status != 1 || !strings.Contains(got.stderr, reason) {
			t.Errorf("user %s: %s: %+v, want %q", uid, args, got, reason)
		}
		if pid := p.status(t).PID; pid != f.pids[len(f.pids)-1] {
			f.pids = append(f.pids, pid) // to be ended
			t.Fatalf("%s: pid %d serves", args, pid)
		}
	}
	for _, order := range []string{"status", "flows", "explain udp " + dstV4 + ":53", "status --drift", "reload", "drain", "drain --undo"} {
		allowed(user, strings.Fields(order)...)
		refuses("12345", "permission denied", strings.Fields(order)...)
	}
	evil := filepath.Join(filepath.Dir(own), "evil")
	if err := os.WriteFile(evil, []byte("#!/bin/sh\nid > "+filepath.Dir(p.file)+"/owned\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	refuses(user, `user 65534 may not name a "binary"`, "upgrade", "--binary", evil)
	refuses(user, `user 65534 may not name a "binary"`, "upgrade", "--binary", own)

	allowed(user, "upgrade") // to its own, which is root's
	f.adopt(t)
	for path, reason := range map[string]string{own: own + " belongs to user 65534", filepath.Dir(own): filepath.Dir(own) + " belongs to user 65534"} {
		chown(t, path, 65534)
		refuses(user, reason, "upgrade")
		if err := syscall.Kill(f.pids[len(f.pids)-1], syscall.SIGUSR2); err != nil {
			t.Fatal(err)
		}
		p.expect(t, "upgrade refused", reason)
		chown(t, path, 0)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(p.file), "owned")); err == nil {
		t.Error("a process of the user has run a file of its choice")
	}
	p.expect(t, "level=WARN", "as a user that other services share", "user=nobody")
	f.upgradeTo(t, program) // as root
	r.reach(t, "origin", dstV4+":80")
}

// adopt records the process that serves now.
func (f *family) adopt(t *testing.T) {
	t.Helper()
	pid := f.proxy.status(t).PID
	if pid == f.pids[len(f.pids)-1] {
		t.Fatalf("pid %d serves after the upgrade as before", pid)
	}
	f.pids = append(f.pids, pid)
}

// copyBinary copies the binary under test into a directory of its own that everybody can
// read.
func copyBinary(t *testing.T, name string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	text, err := os.ReadFile(program)
	if err == nil {
		err = os.WriteFile(path, text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	give(t, path, "")
	give(t, program, "")
	return path
}

func chown(t *testing.T, path string, uid int) {
	t.Helper()
	if err := os.Chown(path, uid, uid); err != nil {
		t.Fatal(err)
	}
}

// TestHTTPNames checks the names under which admin.http answers, also when it does not
// listen on loopback: a browser that a web page sends there gets nothing.
func TestHTTPNames(t *testing.T) {
	t.Parallel()
	edge := newHost(t, "edge")
	p := edge.serveWith(t, "http = \"0.0.0.0:9765\"\n"+allOf("192.0.2.0/24"))
	ask := func(path string, headers ...string) (status int, text string) {
		t.Helper()
		args := []string{"-s", "-w", "%{http_code}", "http://127.0.0.1:9765" + path}
		for _, h := range headers {
			args = append(args, "-H", h)
		}
		text = edge.output(t, "curl", args...)
		if _, err := fmt.Sscan(text[len(text)-3:], &status); err != nil {
			t.Fatal(err)
		}
		return status, text[:len(text)-3]
	}
	for _, path := range []string{"/", "/metrics", "/api/status", "/api/flows"} {
		if status, text := ask(path); status != http.StatusOK {
			t.Errorf("%s by address: %d %s", path, status, text)
		}
		if status, text := ask(path, "Host: evil.example:9765"); status != http.StatusForbidden || !strings.Contains(text, `"evil.example:9765"`) {
			t.Errorf("%s under another name: %d %s", path, status, text)
		}
		if status, text := ask(path, "Origin: http://evil.example"); status != http.StatusForbidden || !strings.Contains(text, "evil.example") {
			t.Errorf("%s from a page of another server: %d %s", path, status, text)
		}
	}
	if status, _ := ask("/metrics", "Host: edge1.example.com"); status != http.StatusForbidden {
		t.Errorf("a name that is not in the file: %d", status)
	}
	p.write(t, "http = \"0.0.0.0:9765\"\nhttp_hosts = [\"edge1.example.com\"]\n"+allOf("192.0.2.0/24"))
	if got := anyport(t, "reload", "--socket", p.socket); got.status != 0 {
		t.Fatalf("reload: %+v", got)
	}
	if status, text := ask("/metrics", "Host: edge1.example.com"); status != http.StatusOK {
		t.Errorf("a name of the file: %d %s", status, text)
	}
}

// TestHTTPOrders: admin.http takes orders only where the file says so, and logs who gave them; /readyz follows.
func TestHTTPOrders(t *testing.T) {
	t.Parallel()
	edge := newHost(t, "edge")
	p := edge.serveWith(t, "http = \"127.0.0.1:9765\"\n"+allOf("192.0.2.0/24"))
	ask := func(args ...string) string {
		t.Helper()
		return edge.output(t, "curl", append([]string{"-s", "-w", " %{http_code}"}, args...)...)
	}
	expect := func(got, want string) {
		t.Helper()
		if !strings.HasSuffix(got, " "+want) {
			t.Errorf("answered %q, want %s", got, want)
		}
	}
	const at = "http://127.0.0.1:9765"
	order := []string{"-X", "POST", "-H", "Anyport-Write: 1", at + "/api/drain"}
	expect(ask(at+"/livez"), "200")
	expect(ask(at+"/readyz"), "200")
	expect(ask(order...), "403")
	p.write(t, "http = \"127.0.0.1:9765\"\nhttp_writes = true\n"+allOf("192.0.2.0/24"))
	if got := anyport(t, "reload", "--socket", p.socket); got.status != 0 {
		t.Fatalf("reload: %+v", got)
	}
	p.expect(t, `msg="took an order" order="POST /reload?dry_run=" uid=0 gid=0 pid=`)
	expect(ask("-X", "POST", at+"/api/drain"), "403")
	expect(ask(order...), "200")
	p.expect(t, `msg="took an order" order="POST /api/drain" client=127.0.0.1:`)
	if got := ask(at + "/readyz"); !strings.HasSuffix(got, " 503") || !strings.Contains(got, `{"name":"draining","failed":"all routes are drained`) {
		t.Errorf("while all is drained: %s", got)
	}
	expect(ask("-X", "POST", "-H", "Anyport-Write: 1", at+"/api/drain?undo=1"), "200")
	expect(ask(at+"/readyz"), "200")
}

// TestAdminGroup: the members of admin.group, by their first group or another one, may read and change nothing; for
// others the socket is closed.
func TestAdminGroup(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	own := copyBinary(t, "own")
	const group = "54321"
	p := r.edge.serveWith(t, "group = \""+group+"\"\n"+allOf("192.0.2.0/24"))
	for dir := filepath.Dir(p.socket); dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	as := func(gid, groups string, args ...string) result {
		t.Helper()
		return command(t, "setpriv", append([]string{"--reuid=12345", "--regid=" + gid, "--groups=" + groups, own}, append(args, "--socket", p.socket)...)...)
	}
	for _, line := range []string{"status", "routes --interval 0s", "origins --interval 0s", "flows", "top --once --interval 100ms", "explain udp " + dstV4 + ":53", "status --drift"} {
		for _, groups := range [][2]string{{group, "7"}, {"7", "8," + group}} {
			if got := as(groups[0], groups[1], strings.Fields(line)...); got.status != 0 {
				t.Errorf("%s by a member: %+v", line, got)
			}
		}
		if got := as("7", "8", strings.Fields(line)...); got.status != 1 || !strings.Contains(got.stderr, "permission denied") {
			t.Errorf("%s by another: %+v", line, got)
		}
	}
	for _, line := range []string{"drain", "kill --client 198.51.100.1", "reload", "reload --dry-run", "upgrade", "confirm"} {
		if got := as(group, "7", strings.Fields(line)...); got.status != 1 || !strings.Contains(got.stderr, "user 12345 may not ask for") {
			t.Errorf("%s by a member: %+v", line, got)
		}
	}
	if err := os.Remove(p.socket); err != nil {
		t.Fatal(err)
	}
	p.expect(t, "the admin socket was removed: restored")
	if got := as(group, "7", "status"); got.status != 0 {
		t.Errorf("after the socket was restored: %+v", got)
	}
}
