package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hang mounts a file system whose server does not answer, for the processes of this host
// that start afterwards. Whoever opens a file there waits until the release, and then gets
// an error.
func (h *host) hang(t *testing.T) (dir string, release func()) {
	t.Helper()
	server, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	dir = t.TempDir()
	if err := h.Mount("fuse", dir, fmt.Sprintf("fd=%d", server.Fd()), "rootmode=40000", "user_id=0", "group_id=0"); err != nil {
		t.Fatal(err)
	}
	return dir, func() { server.Close() }
}

// TestFilesThatAreNone replaces the config file by something that is not a regular
// file, or cannot be read. A reload and an upgrade are refused with the reason, all
// other commands work, and once the file is back, these two work as well.
func TestFilesThatAreNone(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	r := newRig(t)
	r.origin.both(t, "10.0.0.5:80", named("origin"))
	p := r.edge.serveWith(t, relayFile)
	for _, c := range []struct {
		name string
		put  func(path string) error
		want string
	}{
		{"nothing", func(string) error { return nil }, "no such file"},
		{"FIFO", func(path string) error { return unix.Mkfifo(path, 0o600) }, "is a FIFO: put a regular file there"},
		{"directory", func(path string) error { return os.Mkdir(path, 0o700) }, "is a directory: put a regular file there"},
		{"zeros", func(path string) error { return os.Symlink("/dev/zero", path) }, "is a device: put a regular file there"},
		{"full device", func(path string) error { return os.Symlink("/dev/full", path) }, "is a device: put a regular file there"},
		{"socket", bindTo, "is a socket: put a regular file there"},
		{"dangling link", func(path string) error { return os.Symlink("nowhere", path) }, "no such file"},
		{"unreadable file", func(path string) error { return os.WriteFile(path, []byte(relayFile), 0) }, "permission denied"}, // anyport has given up to override that
		{"grown file", func(path string) error {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				return err
			}
			return os.Truncate(path, 1<<30)
		}, "is larger than 256 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.Remove(p.file); err != nil {
				t.Fatal(err)
			}
			if err := c.put(p.file); err != nil {
				t.Fatal(err)
			}
			before := p.status(t).Config.Generation
			seen := strings.Count(p.String(), "reload refused")
			p.signal(t, syscall.SIGHUP)
			eventually(t, "the log says that SIGHUP is refused", func() bool { return strings.Count(p.String(), "reload refused") > seen })
			for line, want := range map[string]string{"reload": c.want, "reload --dry-run": c.want, "upgrade --binary " + program: c.want} {
				if got := p.ask(t, line); got.status != 1 || !strings.Contains(got.stderr, want) {
					t.Errorf("%s: %+v, want %q", line, got, want)
				}
			}
			if got := p.ask(t, "explain tcp 192.0.2.7:80"); got.status != 0 || !strings.Contains(got.stdout, "it cannot be loaded any more") {
				t.Errorf("explain: %+v", got)
			}
			p.obeys(t)
			if now := p.status(t).Config; now.Generation != before || !strings.Contains(now.Refused, c.want) {
				t.Errorf("the status says %+v", now)
			}
			r.reach(t, "origin", dstV4+":80")

			if err := os.RemoveAll(p.file); err != nil {
				t.Fatal(err)
			}
			p.write(t, relayFile)
			if got := p.ask(t, "reload"); got.status != 0 {
				t.Errorf("reload of the file: %+v", got)
			}
		})
	}
	fifo := filepath.Join(t.TempDir(), "binary")
	if err := unix.Mkfifo(fifo, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := p.ask(t, "upgrade --binary "+fifo); got.status != 1 || !strings.Contains(got.stderr, "is not a regular file: name a binary") {
		t.Errorf("upgrade to a FIFO: %+v", got)
	}
	newFamily(t, p).upgrade(t)
	r.reach(t, "origin", dstV4+":80")
}

// bindTo leaves a socket file on which no process listens.
func bindTo(path string) error {
	socket, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	socket.SetUnlinkOnClose(false)
	return socket.Close()
}

// ask runs a command that talks to the running process. After patience the command is ended,
// with status -1.
func (p *proxy) ask(t *testing.T, line string) result {
	t.Helper()
	return command(t, "timeout", append([]string{"--signal=KILL", fmt.Sprint(patience.Seconds()), program}, append(strings.Fields(line), "--socket", p.socket)...)...)
}

// obeys runs all commands that need no file.
func (p *proxy) obeys(t *testing.T) {
	t.Helper()
	for _, line := range []string{"status", "flows", "drain --route v4", "drain --route v4 --undo"} {
		if got := p.ask(t, line); got.status != 0 {
			t.Errorf("%s: %+v", line, got)
		}
	}
}

// TestFileThatHangs has the file on a network mount whose server does not answer. What
// needs the file fails within a time limit, everything else works meanwhile, and a
// signal to stop is obeyed.
func TestFileThatHangs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.both(t, "10.0.0.5:80", named("origin"))
	r.origin.serve(t, "10.0.0.5:4711", echo)
	mount, release := r.edge.hang(t)
	p := r.edge.serveWith(t, relayFile)
	conn := r.client.dial(t, "tcp", dstV4+":4711")
	hung := filepath.Join(mount, "anyport")
	aside := p.file + ".aside"
	if err := os.Rename(p.file, aside); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(hung, p.file); err != nil {
		t.Fatal(err)
	}
	order := func(line string) *process {
		return r.edge.spawn(t, exec.Command(program, append(strings.Fields(line), "--socket", p.socket)...))
	}
	reload := order("reload")
	time.Sleep(silence) // it is the one that hangs, and not the next ones
	waiting := []*process{order("explain tcp 192.0.2.7:80"), order("reload --dry-run"), order("upgrade"), order("upgrade --binary " + hung)}
	p.signal(t, syscall.SIGHUP)
	for range 3 {
		p.obeys(t)
		r.reach(t, "origin", dstV4+":80")
		talk(t, conn, "still here")
	}
	if !reload.alive() {
		t.Error("the reload does not hang")
	}
	if status := reload.waitFor(t, 2*patience); status != 1 {
		t.Errorf("the reload ended with %d", status)
	}
	reload.expect(t, "not done within 30s: is it on a network mount that hangs?")
	for _, command := range waiting {
		command.waitFor(t, 2*patience)
		command.expect(t, "is it on a network mount that hangs?")
	}
	p.obeys(t)

	release() // the reload of SIGHUP has come to its turn
	if err := os.Rename(aside, p.file); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a reload goes on", func() bool { return p.ask(t, "reload").status == 0 })
	conn.SetDeadline(time.Now().Add(patience))
	talk(t, conn, "still here")
}

// TestStopBesideFileThatHangs stops anyport while a reload waits for the file.
func TestStopBesideFileThatHangs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	mount, _ := r.edge.hang(t)
	p := r.edge.serveWith(t, relayFile)
	if err := os.Remove(p.file); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(mount, "anyport.toml"), p.file); err != nil {
		t.Fatal(err)
	}
	p.signal(t, syscall.SIGHUP)
	reload := r.edge.spawn(t, exec.Command(program, "reload", "--socket", p.socket))
	time.Sleep(silence)
	p.signal(t, syscall.SIGTERM)
	if status := p.wait(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	reload.wait(t)
	reload.expect(t, "anyport is stopping")
}

// TestAccessLogThatBlocks replaces the access log by a FIFO. A FIFO without a reader is
// not opened; one whose reader stands still is left for the next file. Neither blocks
// anything.
func TestAccessLogThatBlocks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:80", echo)
	access := filepath.Join(t.TempDir(), "access.log")
	p := r.edge.serveWith(t, fmt.Sprintf("[log]\naccess = %q\n", access)+relayFile)
	replace := func(put func() error) {
		t.Helper()
		if err := os.Remove(access); err != nil {
			t.Fatal(err)
		}
		if err := put(); err != nil {
			t.Fatal(err)
		}
		p.signal(t, syscall.SIGHUP)
	}
	fifo := func() error { return unix.Mkfifo(access, 0o600) }
	r.visit(t, 1)
	replace(fifo)
	p.expect(t, "reload refused: the old config serves on", "FIFO that nobody reads")
	p.obeys(t)

	var reader *os.File
	replace(func() (err error) {
		if err = fifo(); err == nil {
			reader, err = os.OpenFile(access, os.O_RDWR, 0) // and reads nothing
		}
		return err
	})
	defer reader.Close()
	if _, err := unix.FcntlInt(reader.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	r.visit(t, 100) // 20 KB
	eventually(t, "lines are lost", func() bool { return p.logStatus(t).AccessLost > 0 })
	p.obeys(t)
	replace(func() error { return nil })
	eventually(t, "there is another file", func() bool { _, err := os.Stat(access); return err == nil })
	r.visit(t, 1)
	eventually(t, "it has lines", func() bool { text, err := os.ReadFile(access); return err == nil && len(text) > 0 })
	newFamily(t, p).upgrade(t)
}

// TestAdminSocketRemoved removes the admin socket: anyport creates it again. If another
// process has put a file there, anyport leaves it alone and logs that once.
func TestAdminSocketRemoved(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.both(t, "10.0.0.5:80", named("origin"))
	p := r.edge.serveWith(t, relayFile)
	f := newFamily(t, p)
	for range 2 {
		if err := os.Remove(p.socket); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the socket is there again", func() bool { return p.ask(t, "status").status == 0 })
		p.obeys(t)
		f.upgrade(t)
	}
	if err := os.Remove(p.socket); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("unix", p.socket)
	if err != nil {
		t.Fatal(err)
	}
	p.expect(t, "nobody reaches the admin socket", "another process serves on")
	if err := syscall.Kill(f.pids[2], syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.expect(t, "msg=reloaded")
	other.Close() // and removes it
	eventually(t, "the socket is there again", func() bool { return p.ask(t, "status").status == 0 })
	if n := strings.Count(p.String(), "nobody reaches the admin socket"); n != 1 {
		t.Errorf("the log has it %d times, want once", n)
	}
}
