package daemon

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"anyport/cmd/anyport/internal/privileges"
)

// nobody is an unprivileged user; root opens files for it.
func nobody(t *testing.T) *privileges.Account {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_ROOT") == "1" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	account, err := privileges.Find("65534")
	if err != nil {
		t.Fatal(err)
	}
	return account
}

// TestOpenAsUser: the access log belongs to steering.user, who has to open it again after a rotation; but
// nobody who can write to its directory makes root open another file of the host, or give it away.
func TestOpenAsUser(t *testing.T) {
	user := nobody(t)
	for _, test := range []struct {
		name    string
		mode    fs.FileMode // of the directory
		prepare func(t *testing.T, path, secret string)
		owner   int // of the log; -1: it is not opened
	}{
		{"a directory of everybody's", 0o777, nil, user.UID},
		{"a directory of root's", 0o700, nil, user.UID},
		{"a file of root's in it", 0o700, func(t *testing.T, path, _ string) { create(t, path) }, user.UID},
		{"a symbolic link in it", 0o700, func(t *testing.T, path, secret string) {
			if err := os.Symlink(secret, path); err != nil {
				t.Fatal(err)
			}
		}, -1},
		{"a hard link in it", 0o700, func(t *testing.T, path, secret string) {
			if err := os.Link(secret, path); err != nil {
				t.Fatal(err)
			}
		}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			base := t.TempDir()
			for dir := base; dir != "/"; dir = filepath.Dir(dir) { // the way to it is open to everybody
				if info, err := os.Stat(dir); err == nil && strings.HasPrefix(dir, os.TempDir()+"/") {
					if err := os.Chmod(dir, info.Mode()|0o011); err != nil {
						t.Fatal(err)
					}
				}
			}
			dir, secret := filepath.Join(base, "log"), filepath.Join(base, "secret")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir, test.mode); err != nil { // whatever the umask
				t.Fatal(err)
			}
			create(t, secret)
			path := filepath.Join(dir, "access.log")
			if test.prepare != nil {
				test.prepare(t, path, secret)
			}
			file, err := openAsUser(user, path)
			if test.owner < 0 {
				if file != nil || err == nil || !strings.Contains(err.Error(), "log.access: ") || !strings.Contains(err.Error(), "and no symbolic link") {
					t.Errorf("opened: %v, %v", file, err)
				}
			} else if err != nil {
				t.Error(err)
			} else {
				file.Close()
				if got := owner(t, path); got != test.owner {
					t.Errorf("it belongs to user %d, want %d", got, test.owner)
				}
			}
			if got := owner(t, secret); got != 0 {
				t.Errorf("the other file belongs to user %d now", got)
			}
		})
	}
}

func create(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func owner(t *testing.T, path string) int {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Sys().(*syscall.Stat_t).Uid)
}

// TestOpenAccount: steering.user is looked up before anything is changed.
func TestOpenAccount(t *testing.T) {
	for _, test := range []struct {
		user    string
		drop    bool
		account bool
		err     string
	}{
		{"", true, false, ""},
		{"root", true, true, ""},
		{"no-such-user", false, false, ""}, // nothing is given up
		{"no-such-user", true, false, "steering.user: "},
	} {
		d := &daemon{opt: Options{Config: parse(t, "[steering]\nuser = \""+test.user+"\"\n"), Drop: test.drop}}
		err := d.openAccount()
		if (d.account != nil) != test.account || (err == nil) != (test.err == "") || err != nil && !strings.HasPrefix(err.Error(), test.err) {
			t.Errorf("%q: %+v, %v", test.user, d.account, err)
		}
	}
}
