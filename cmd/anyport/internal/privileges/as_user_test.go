package privileges

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestDo creates a file as another user, where that one may, and nowhere else; this
// process stays who it is.
func TestDo(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_ROOT") == "1" {
			t.Fatal("only root can open files as another user")
		}
		t.Skip("only root can open files as another user")
	}
	other, dir := &Account{UID: 65534, GID: 65534}, t.TempDir()
	create := func() error { return os.WriteFile(filepath.Join(dir, "file"), nil, 0o600) }
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := other.Do(create); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("in a directory of root: %v, want that it is not permitted", err)
	}
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if err := other.Do(create); err != nil {
		t.Errorf("in a directory of its own: %v", err)
	}
	if err := os.Chown(dir, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := create(); err != nil {
		t.Errorf("this process cannot write any more: %v", err)
	}
}
