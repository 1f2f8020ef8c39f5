package socket

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/privileges"
)

func TestListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "admin.sock")
	listener, err := Listen(path, nil, NoGroup)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("mode %v, want a socket that its owner alone may open", info.Mode())
	}

	if _, err := Listen(path, nil, NoGroup); err == nil || !strings.Contains(err.Error(), "another process serves on "+path) {
		t.Errorf("beside a live socket: error %v", err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("after close the socket is still there: %v", err)
	}
}

// TestCloseLeavesOthers: where another process has put its own socket, Close does not remove that.
func TestCloseLeavesOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	s, err := Listen(path, nil, NoGroup)
	if err != nil {
		t.Fatal(err)
	}
	if s.missing() {
		t.Error("it is missing from the start")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if !s.missing() {
		t.Error("it is not missing where another one is")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the other one: %v", err)
	}
}

func TestListenReplacesStale(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false) // as kill -9 does
	dead.Close()

	listener, err := Listen(path, nil, NoGroup)
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
}

func TestListenKeepsFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path, nil, NoGroup); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("error %v", err)
	}
	if text, err := os.ReadFile(path); string(text) != "precious" {
		t.Errorf("the file is now %q, %v", text, err)
	}
}

// TestListenAmongOthers: nothing is given away by name where somebody could put a link
// in its place, and in the directory of the user to be the socket is that user's at once.
func TestListenAmongOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("to give files away takes root")
	}
	owner := &privileges.Account{UID: 65534, GID: 65533}
	for _, test := range []struct {
		name      string
		uid, gid  int
		mode      fs.FileMode
		file      string
		refused   string
		belonging int // the user of the socket
	}{
		{"root's", 0, 0, 0o755, "admin.sock", "", 65534},
		{"the user's own", 65534, 65533, 0o755, "admin.sock", "", 65534},
		{"sticky, like /tmp", 0, 0, 0o777 | fs.ModeSticky, "admin.sock", "", 65534},
		{"of root's group", 0, 0, 0o775, "admin.sock", "", 65534},
		{"somebody else's", 12345, 0, 0o755, "admin.sock", "belongs to user 12345", 0},
		{"of somebody else's group", 0, 12345, 0o775, "admin.sock", "can be written by others (mode -rwxrwxr-x)", 0},
		{"everybody's", 0, 0, 0o777, "admin.sock", "can be written by others", 0},
		{"everybody's, to make a directory in", 0, 0, 0o777, "made/admin.sock", "can be written by others", 0},
		{"within somebody else's", 12345, 0, 0o755, "made/admin.sock", "belongs to user 12345", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := errors.Join(os.Chown(dir, test.uid, test.gid), os.Chmod(dir, test.mode)); err != nil {
				t.Fatal(err)
			}
			path := reachable(t, filepath.Join(dir, test.file))
			listener, err := Listen(path, owner, NoGroup)
			if test.refused != "" {
				if err == nil || !strings.Contains(err.Error(), test.refused) {
					t.Errorf("error %v, want %s", err, test.refused)
				}
				if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
					t.Errorf("left behind: %v, %v", left, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			var stat unix.Stat_t
			if err := unix.Lstat(path, &stat); err != nil || int(stat.Uid) != test.belonging || stat.Mode&0o777 != 0o600 {
				t.Errorf("the socket belongs to user %d, mode %o, %v", stat.Uid, stat.Mode, err)
			}
		})
	}
	if now := fsuid(t); now != 0 {
		t.Errorf("a thread makes files as user %d now", now)
	}
}

// reachable lets all users come to the directories of a test, as they come to /run.
func reachable(t *testing.T, path string) string {
	t.Helper()
	if err := os.Chmod(filepath.Dir(t.TempDir()), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// fsuid is the user that this thread makes files as.
func fsuid(t *testing.T) int {
	t.Helper()
	uid, err := unix.SetfsuidRetUid(-1)
	if err != nil {
		t.Fatal(err)
	}
	return uid
}

func TestListenForAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("to give files away takes root")
	}
	dir := t.TempDir()
	path := reachable(t, filepath.Join(dir, "made", "admin.sock"))
	listener, err := Listen(path, &privileges.Account{UID: 65534, GID: 65533}, NoGroup)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for name, want := range map[string]privileges.Account{dir: {}, filepath.Dir(path): {UID: 65534, GID: 65533}, path: {UID: 65534, GID: 65533}} {
		var stat unix.Stat_t
		if err := unix.Lstat(name, &stat); err != nil {
			t.Fatal(err)
		}
		if int(stat.Uid) != want.UID || int(stat.Gid) != want.GID {
			t.Errorf("%s belongs to %d:%d, want %d:%d", name, stat.Uid, stat.Gid, want.UID, want.GID)
		}
	}
}

// TestStaleOfAnother: a socket that another user has left, dead or not, is reported with the command that removes it.
func TestStaleOfAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "admin.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	for parent := dir; parent != os.TempDir(); parent = filepath.Dir(parent) {
		if err := os.Chmod(parent, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	nobody := &privileges.Account{UID: 65534, GID: 65534}
	for mode, want := range map[fs.FileMode]string{
		0o600: "if no process serves on it, remove it: sudo rm " + path,
		0o666: "no process serves on it, remove it: sudo rm " + path,
	} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		err := nobody.Do(func() error { return removeStale(path) })
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "is a socket of user 0") {
			t.Errorf("mode %v: %v, want %q", mode, err, want)
		}
	}
}
