package pins

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/steering/program"
)

// plain is a Dir outside of any bpffs, with these files: enough for what does not pin.
func plain(t *testing.T, files ...string) *Dir {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pins")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	directory, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { directory.Close() })
	for _, name := range files {
		if err := os.WriteFile(filepath.Join(path, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &Dir{Path: path, directory: directory}
}

// TestNames: the link is removed first: without it, what is left is known to be half done.
func TestNames(t *testing.T) {
	for _, files := range [][]string{{}, {LinkName}, {"counters", LinkName, "policies", bpf.SteerProgSteer, "zz"}, {"a", "b"}} {
		names, err := plain(t, files...).Names()
		if err != nil || len(names) != len(files) {
			t.Errorf("%q: %q, %v", files, names, err)
		}
		if i := slices.Index(names, LinkName); i > 0 || slices.Contains(files, LinkName) && i != 0 {
			t.Errorf("%q are removed in the order %q", files, names)
		}
	}
}

// TestDirMovedAway: whatever stands at its path meanwhile, the open directory is the one that is used.
func TestDirMovedAway(t *testing.T) {
	d := plain(t, LinkName, "counters")
	d.Saved = true
	moved, innocent := d.Path+"-old", filepath.Join(d.Path, "counters")
	if err := errors.Join(os.Rename(d.Path, moved), os.Mkdir(d.Path, 0o700), os.WriteFile(innocent, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(); err != nil || d.Saved {
		t.Errorf("remove: %v, saved %v", err, d.Saved)
	}
	if left, err := os.ReadDir(moved); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	if _, err := os.Lstat(innocent); err != nil {
		t.Errorf("a file of another directory was removed: %v", err)
	}
}

// TestCloseDir: a directory that holds nothing goes, one with pins stays.
func TestCloseDir(t *testing.T) {
	if err := (*Dir)(nil).Close(); err != nil {
		t.Error(err)
	}
	for _, test := range []struct {
		name        string
		files       []string
		saved, left bool
	}{
		{"empty", nil, false, false},
		{"with pins", []string{LinkName}, true, true},
		{"with something that is not known", []string{"x"}, false, true},
	} {
		d := plain(t, test.files...)
		d.Saved = test.saved
		if err := d.Close(); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if _, err := os.Lstat(d.Path); (err == nil) != test.left {
			t.Errorf("%s: %v, left: want %v", test.name, err, test.left)
		}
		if _, err := d.directory.Stat(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: the directory is open: %v", test.name, err)
		}
	}
}

// TestInheritDir: the directory of the process before must be the place of the file; another one is
// refused, and its descriptor closed.
func TestInheritDir(t *testing.T) {
	d := plain(t, LinkName)
	same, err := unix.Dup(d.FD())
	if err != nil {
		t.Fatal(err)
	}
	inherited, err := Inherit(Place{Path: d.Path}, same)
	if err != nil || !inherited.Saved || inherited.Path != d.Path {
		t.Fatalf("%+v, %v", inherited, err)
	}
	if err := inherited.Close(); err != nil {
		t.Error(err)
	}
	other, err := unix.Dup(d.FD())
	if err != nil {
		t.Fatal(err)
	}
	if p, err := Inherit(Place{Path: "/sys/fs/bpf/x", Auto: true}, other); p != nil || err == nil || !strings.Contains(err.Error(), `steering.pin is "auto" and the pins are in another directory`) {
		t.Errorf("%v, %v", p, err)
	}
	if _, err := unix.FcntlInt(uintptr(other), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("its descriptor is open: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(d.Path, LinkName)); err != nil {
		t.Errorf("a pin was removed: %v", err)
	}
}

// TestLoadStrangers: an empty directory holds nothing; files without the steering program are not
// anyport's, and stay.
func TestLoadStrangers(t *testing.T) {
	if e, err := plain(t).Load(); err != nil || e.Program != nil {
		t.Errorf("of nothing: %+v, %v", e, err)
	}
	d := plain(t, "tubular")
	_, err := d.Load()
	if err == nil || !strings.Contains(err.Error(), "steering.pin: "+filepath.Join(d.Path, "tubular")+" is not anyport's: there is no steering program with it: name another directory, or remove it") {
		t.Errorf("of something else: %v", err)
	}
	if _, err := os.Lstat(d.DisplayName("tubular")); err != nil {
		t.Error(err)
	}
}

// TestRestoreNothing: what was never pinned is not put back, and what is all there is left alone.
func TestRestoreNothing(t *testing.T) {
	loaded := &program.Loaded{Link: &link.NetNsLink{}, Maps: map[string]*ebpf.Map{"counters": nil, "policies": nil}}
	complete := plain(t, LinkName, bpf.SteerProgSteer, "counters", "policies")
	complete.Saved = true
	gone := plain(t)
	for name, test := range map[string]struct {
		dir    *Dir
		loaded *program.Loaded
	}{
		"no directory":    {nil, loaded},
		"nothing pinned":  {gone, loaded},
		"no link":         {complete, &program.Loaded{}},
		"all of it there": {complete, loaded},
	} {
		if restored, err := test.dir.Restore(test.loaded); restored || err != nil {
			t.Errorf("%s: restored %v, %v", name, restored, err)
		}
	}
	for _, missing := range []string{"counters", "policies"} {
		names := []string{LinkName, bpf.SteerProgSteer, "counters", "policies"}
		names = slices.DeleteFunc(names, func(n string) bool { return n == missing })
		if containsAll(names, loaded) {
			t.Errorf("%q hold all maps, without %s", names, missing)
		}
	}
	if err := gone.CheckWritable(); err != nil {
		t.Error(err)
	}
	if err := os.Remove(gone.Path); err != nil {
		t.Fatal(err)
	}
	if _, err := gone.Names(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a removed directory: %v", err)
	}
}
