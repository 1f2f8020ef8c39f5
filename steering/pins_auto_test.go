package steering

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/steering/internal/tabletest"
	"anyport/steering/netnstest"
	"anyport/steering/pins"
	"anyport/steering/table"
)

// TestPinsUntrusted: a directory that somebody else could have prepared is refused, with what
// to do about it, and nothing in it is touched.
func TestPinsUntrusted(t *testing.T) {
	netnstest.InNamespace(t)
	root := bpffs(t)
	theirs := filepath.Join(root, "theirs")
	mkdir(t, theirs)
	for _, test := range []struct {
		name, want string
		make       func(dir string) error
	}{
		{"link", "is a symbolic link or no directory", func(dir string) error { return os.Symlink(theirs, dir) }},
		{"stranger", "belongs to user 65534, who could change what is pinned there: remove it with: rm -r ", func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, 65534, 65534))
		}},
		{"everybody", "others may write to", func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o777))
		}},
		{"group", "others may write to", func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o720))
		}},
	} {
		dir := filepath.Join(root, test.name)
		if err := test.make(dir); err != nil {
			t.Fatal(err)
		}
		s, err := Open(withListen(pinned(dir)), tabletest.Compile(t, pinned(dir).Routes...), discard)
		if err == nil {
			s.Close()
		}
		checkError(t, test.name+": Open", err, test.want)
		_, err = Unload(pinned(dir), discard)
		checkError(t, test.name+": Unload", err, test.want)
		if left := entries(t, theirs); len(left) > 0 {
			t.Errorf("%s: %v was pinned through it", test.name, left)
		}
	}
	ours := pinned(filepath.Join(root, "stranger"))
	ours.Steering.User = "65534"
	openHere(t, ours) // it is the user that anyport becomes
}

// autoPinned is a config that says nothing of pins.
func autoPinned(path string, on ...string) *config.Config {
	cfg := tabletest.Managed(on...)
	cfg.Path, cfg.Steering.Pin = path, config.PinAuto
	return cfg
}

// autoBPFFS mounts one where anyport looks for it, that only this thread sees.
func autoBPFFS(t *testing.T) {
	t.Helper()
	bpffs(t)
	if err := unix.Mount("bpf", pins.Root, "bpf", 0, "mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(pins.Root, unix.MNT_DETACH) })
}

// TestPinAuto: each namespace and each file has its own directory, an orderly stop removes
// it, and unload removes those of the dead alone.
func TestPinAuto(t *testing.T) {
	netnstest.InNamespace(t)
	autoBPFFS(t)
	first, second := autoPinned("/etc/first.toml", "192.0.2.0/24"), autoPinned("/etc/second.toml", "198.51.100.0/24")
	living := openHere(t, first)
	dead := openHere(t, second)
	at, err := dead.pinPlace(second)
	if err != nil || !strings.HasPrefix(at.Path, pins.Root+"/anyport_") || at.Path == living.pins.Path {
		t.Errorf("pinned in %s and %s, %v", living.pins.Path, at.Path, err)
	}
	if status, err := dead.Status(); err != nil || !status.Pinned || status.OnDeath != Refused {
		t.Errorf("%+v, %v", status, err)
	}
	if err := dead.Release(); err != nil { // as when it is killed
		t.Fatal(err)
	}
	if got := knockTCP(t, new(Steering), netip.MustParseAddrPort("198.51.100.1:80")); got != table.Refuse {
		t.Errorf("what a dead one served: %s", got)
	}
	left, err := Leftovers(first)
	if err != nil || !slices.Contains(left, at.Path) || slices.Contains(left, living.pins.Path) {
		t.Errorf("left: %v, %v", left, err)
	}
	if _, err := Unload(first, discard); !errors.Is(err, pins.ErrLocked) {
		t.Errorf("Unload of one that lives: %v", err)
	}
	removed, err := Unload(second, discard)
	if err != nil || !slices.Contains(removed, "route local 198.51.100.0/24 dev lo") || !slices.Contains(removed, at.Path) {
		t.Errorf("removed: %v, %v", removed, err)
	}
	checkLocal(t, []string{"127.0.0.0/8", "127.0.0.1/32", "::1/128", "192.0.2.0/24"})
	if err := living.Close(); err != nil {
		t.Fatal(err)
	}
	checkNoAutoPins(t)
}

// TestPinAutoReused: pins whose link no namespace has any more are of a namespace that is
// gone, whose number another one got: nothing of them is used.
func TestPinAutoReused(t *testing.T) {
	netnstest.InNamespace(t)
	autoBPFFS(t)
	cfg := autoPinned("/etc/anyport.toml", "192.0.2.0/24")
	before := openHere(t, cfg)
	if err := errors.Join(before.loaded.Link.Detach(), before.Release()); err != nil {
		t.Fatal(err)
	}
	s := openHere(t, cfg)
	if status, err := s.Status(); err != nil || status.Generation != 1 || !status.Attached || !status.Pinned {
		t.Errorf("%+v, %v", status, err)
	}
}

// TestPinAutoNowhere: without a bpffs, or with one that is not ours alone, the local routes
// end with the process.
func TestPinAutoNowhere(t *testing.T) {
	netnstest.InNamespace(t)
	bpffs(t)
	unix.Unmount(pins.Root, unix.MNT_DETACH) // the host's own, for this thread
	cfg := autoPinned("/etc/anyport.toml", "192.0.2.0/24")
	checkUnpinned(t, cfg)
	if left, err := Leftovers(cfg); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	autoBPFFS(t)
	inode, err := openHere(t, autoPinned("/etc/other.toml", "203.0.113.0/24")).inode()
	if err != nil {
		t.Fatal(err)
	}
	dir := pins.PlaceOf(cfg, inode).Path
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	checkUnpinned(t, cfg)
}

func checkUnpinned(t *testing.T, cfg *config.Config) {
	t.Helper()
	s := openHere(t, cfg)
	if status, err := s.Status(); err != nil || status.Pinned || status.OnDeath != Unreachable {
		t.Errorf("%+v, %v", status, err)
	}
	if err := s.Release(); err != nil { // as when it is killed
		t.Fatal(err)
	}
	if conn, err := netDial("192.0.2.1:80"); err == nil {
		conn.Close()
		t.Error("a prefix of a dead process answers")
	}
}

func checkNoAutoPins(t *testing.T) {
	t.Helper()
	if left := pins.AutoPlaces(nil); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
