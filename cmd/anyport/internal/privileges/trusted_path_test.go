package privileges

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckTrusted(t *testing.T) {
	me := os.Geteuid()
	top := t.TempDir()
	dir, file := filepath.Join(top, "dir"), filepath.Join(top, "dir", "file")
	if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(file, nil, 0o755)); err != nil {
		t.Fatal(err)
	}
	modes := func(dirMode, fileMode os.FileMode) {
		if err := errors.Join(os.Chmod(dir, dirMode), os.Chmod(file, fileMode)); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		dir, file os.FileMode
		path      string
		want      string
	}{
		{0o755, 0o755, file, ""},
		{0o700, 0o600, file, ""},
		{0o755 | os.ModeSticky, 0o755, file, ""},
		{0o777 | os.ModeSticky, 0o755, file, ""},
		{0o777, 0o755, file, dir + " can be written by others"},
		{0o755, 0o757, file, file + " can be written by others"},
		{0o755, 0o757 | os.ModeSticky, file, file + " can be written by others"},
		{0o755, 0o755, file + "x", "no such file"},
	} {
		modes(test.dir, test.file)
		if err := CheckTrusted(test.path, 0, me); (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, %v: %v, want %q", test.dir, test.file, err, test.want)
		}
	}
	modes(0o755, 0o755)
	if err := CheckTrusted(file, me+1); err == nil || !strings.Contains(err.Error(), file+" belongs to user") {
		t.Errorf("a file of another: %v", err)
	}
}

func TestSharedUser(t *testing.T) {
	for _, test := range []struct {
		uid  int
		name string
		want string
	}{
		{65534, "nobody", "nobody"}, {65534, "65534", "65534"}, {99, "nobody", "nobody"}, {33, "www-data", "www-data"}, {1, "daemon", "daemon"},
		{0, "root", ""}, {999, "anyport", ""}, {12345, "12345", ""},
	} {
		if got := sharedUser(test.uid, test.name); got != test.want {
			t.Errorf("user %d, %s: %q, want %q", test.uid, test.name, got, test.want)
		}
	}
}
