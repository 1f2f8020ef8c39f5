package lasttable_test

import (
	"os"
	"path/filepath"
	"testing"

	"anyport/cmd/anyport/internal/fleet/lasttable"
)

// TestTable: what was written last is read, each file has its own, and only the owner may read it.
func TestTable(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{"first", "second"} {
		if err := lasttable.Write(dir, "/etc/a.toml", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := lasttable.Read(dir, "/etc/a.toml"); err != nil || string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
	}
	if got, err := lasttable.Read(dir, "/etc/b.toml"); err != nil || got != nil {
		t.Errorf("another file's: %q, %v", got, err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	if info, err := os.Stat(files[0]); len(files) != 1 || err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v: %v, %v", files, info.Mode(), err)
	}
	if err := lasttable.Write(filepath.Join(dir, "none"), "/etc/a.toml", nil); err == nil {
		t.Error("written where there is no directory")
	}
	if got, err := lasttable.Read("", "/etc/a.toml"); err != nil || got != nil {
		t.Errorf("without a state directory: %q, %v", got, err)
	}
}
