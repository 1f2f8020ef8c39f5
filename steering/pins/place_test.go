package pins

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"anyport/config"
)

// placeOf is the place of a config with this steering.pin and path, in the namespace of that number.
func placeOf(pin, path string, inode uint64) Place {
	return PlaceOf(&config.Config{Path: path, Steering: config.Steering{Pin: pin}}, inode)
}

// TestPlaceOf: the directory that anyport chooses is different for each namespace and each file, but the
// same for each way to write the file's path; what the file says is taken as it stands.
func TestPlaceOf(t *testing.T) {
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	one := placeOf(config.PinAuto, filepath.Join(cwd, "a.toml"), 4026531840)
	if !one.Auto || !strings.HasPrefix(one.Path, "/sys/fs/bpf/anyport_4026531840_") || len(filepath.Base(one.Path)) != len("anyport_4026531840_12345678") {
		t.Errorf("%+v", one)
	}
	for _, test := range []struct {
		path  string
		inode uint64
		same  bool
	}{
		{"a.toml", 4026531840, true},
		{"./x/../a.toml", 4026531840, true},
		{filepath.Join(cwd, "b.toml"), 4026531840, false},
		{filepath.Join(cwd, "a.toml"), 4026531841, false},
		{"/a.toml", 4026531840, false},
	} {
		if got := placeOf(config.PinAuto, test.path, test.inode); (got.Path == one.Path) != test.same {
			t.Errorf("%s in %d is pinned in %s, %s in %s", test.path, test.inode, got.Path, filepath.Join(cwd, "a.toml"), one.Path)
		}
	}
	for _, pin := range []string{"", "/sys/fs/bpf/edge"} {
		if got := placeOf(pin, "a.toml", 1); got.Path != pin || got.Auto || got.setting() != pin {
			t.Errorf("steering.pin = %q is %+v", pin, got)
		}
	}
	if one.setting() != config.PinAuto {
		t.Errorf("the setting is %q", one.setting())
	}
}

// TestOwners: root, this user and the one that it becomes may own a directory, and a name that nobody has
// adds nobody.
func TestOwners(t *testing.T) {
	for user, want := range map[string][]int{"": nil, "root": {0}, "12345": {12345}, "no-such-user": nil} {
		if got := owners(user); !slices.Equal(got, append([]int{0, os.Geteuid()}, want...)) {
			t.Errorf("%q: %v, want those and %v", user, got, want)
		}
	}
}

// TestOpenChecked: what could be swapped for another directory is not opened, nor is one outside of a
// bpffs; a directory that is missing can still be made.
func TestOpenChecked(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.Mkdir(path("dir"), 0o700), os.Symlink("dir", path("link")), os.WriteFile(path("file"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"dir":  " is in no bpffs: mount one with: mount -t bpf",
		"link": " is a symbolic link or no directory: remove it",
		"file": " is a symbolic link or no directory: remove it",
		"gone": "no such file or directory",
	} {
		file, err := openChecked(Place{Path: path(name), Owners: []int{0, os.Geteuid()}})
		if file != nil || err == nil || !strings.HasPrefix(err.Error(), "steering.pin: ") || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path(name)) {
			t.Errorf("%s: %v, %v, want %q", name, file, err, want)
		}
		if errors.Is(err, fs.ErrNotExist) != (name == "gone") {
			t.Errorf("%s: %v", name, err)
		}
		if p, err := Open(Place{Path: path(name)}); p != nil || err == nil || !strings.Contains(err.Error(), "is in no bpffs") {
			t.Errorf("Open(%s) = %v, %v", name, p, err)
		}
		if err := (Place{Path: path(name)}).Usable(); err == nil || !strings.Contains(err.Error(), "is in no bpffs") {
			t.Errorf("%s is usable: %v", name, err)
		}
	}
	if _, err := os.Lstat(path("gone")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a refused place was made: %v", err)
	}
}

// TestIsOpenAs: an open directory is the place even if another name leads to it, and not any more when
// another directory stands at the path.
func TestIsOpenAs(t *testing.T) {
	base := t.TempDir()
	at := Place{Path: filepath.Join(base, "pins")}
	if err := os.Mkdir(at.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	dir, err := os.Open(at.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if !at.isOpenAs(dir) || !(Place{Path: filepath.Join(base, ".", "pins")}).isOpenAs(dir) {
		t.Error("it is not the place")
	}
	if (Place{Path: base}).isOpenAs(dir) || (Place{Path: filepath.Join(base, "gone")}).isOpenAs(dir) {
		t.Error("it is another place, too")
	}
	if err := errors.Join(os.Rename(at.Path, at.Path+"-old"), os.Mkdir(at.Path, 0o700)); err != nil {
		t.Fatal(err)
	}
	if at.isOpenAs(dir) {
		t.Error("the directory that was moved away is still the place")
	}
}
