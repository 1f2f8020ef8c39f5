package daemon

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/cmd/privileges"
)

func TestListenAdmin(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "admin.sock")
	listener, err := listenAdmin(path, nil)
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

	if _, err := listenAdmin(path, nil); err == nil || !strings.Contains(err.Error(), "another process serves on "+path) {
		t.Errorf("beside a live socket: error %v", err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("after close the socket is still there: %v", err)
	}
}

func TestListenAdminReplacesStale(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false) // as kill -9 does
	dead.Close()

	listener, err := listenAdmin(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
}

func TestListenAdminKeepsFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenAdmin(path, nil); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("error %v", err)
	}
	if text, err := os.ReadFile(path); string(text) != "precious" {
		t.Errorf("the file is now %q, %v", text, err)
	}
}

func TestListenAdminForAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("to give files away takes root")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "made", "admin.sock")
	listener, err := listenAdmin(path, &privileges.Account{UID: 65534, GID: 65533})
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
