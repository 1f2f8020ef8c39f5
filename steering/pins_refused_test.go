package steering

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	"anyport/bpf"
	"anyport/steering/internal/tabletest"
	"anyport/steering/netnstest"
	"anyport/steering/pins"
	"anyport/steering/table"
)

// TestPinsRefused: what is not ours, or in use, is left as it is.
func TestPinsRefused(t *testing.T) {
	netnstest.InNamespace(t)
	root := bpffs(t)
	foreign, err := ebpf.NewMap(&ebpf.MapSpec{Name: "foreign", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	for _, test := range []struct {
		name, want, unload string
		spoil              func(t *testing.T, dir string)
	}{
		{"foreign", "other is not anyport's: there is no steering program with it: name another directory, or remove it", "is not anyport's", func(t *testing.T, dir string) {
			mkdir(t, dir)
			pin(t, foreign, filepath.Join(dir, "other"))
		}},
		{"foreignbeside", "other is not anyport's: the pinned program does not use this map", "is not anyport's", func(t *testing.T, dir string) {
			leavePinned(t, dir)
			pin(t, foreign, filepath.Join(dir, "other"))
		}},
		{"foreignnonces", "knock_nonces is not anyport's: ", "is not anyport's", func(t *testing.T, dir string) {
			leavePinned(t, dir)
			path := filepath.Join(dir, bpf.SteerMapKnockNonces)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			pin(t, foreign, path)
		}},
		{"used", "still running", "still running", func(t *testing.T, dir string) { openHere(t, pinned(dir)) }},
	} { // no subtests: their threads would be in other namespaces
		dir := filepath.Join(root, test.name)
		test.spoil(t, dir)
		before := entries(t, dir)
		s, err := Open(withListen(pinned(dir)), tabletest.Compile(t, pinned(dir).Routes...), discard)
		if err == nil {
			s.Close()
		}
		checkError(t, test.name+": Open", err, test.want)
		if diff := cmp.Diff(before, entries(t, dir)); diff != "" {
			t.Errorf("%s: Open left other pins: %s", test.name, diff)
		}
		_, err = Unload(pinned(dir), discard)
		checkError(t, test.name+": Unload", err, test.unload)
	}
}

// TestPinsHalfDone: what a crash left between the first pin and the last is replaced.
func TestPinsHalfDone(t *testing.T) {
	netnstest.InNamespace(t)
	dir := filepath.Join(bpffs(t), "anyport")
	leavePinned(t, dir)
	if err := os.Remove(filepath.Join(dir, pins.LinkName)); err != nil {
		t.Fatal(err)
	}
	s := openHere(t, pinned(dir))
	if got := knockTCP(t, s, netip.MustParseAddrPort("192.0.2.1:80")); got != table.Steer {
		t.Errorf("a served address: %s", got)
	}
	if !slices.Contains(entries(t, dir), pins.LinkName) {
		t.Error("the link is not pinned")
	}
}

// TestPinsElsewhere: pins that serve another namespace are left alone.
func TestPinsElsewhere(t *testing.T) {
	netnstest.InNamespace(t)
	dir := filepath.Join(bpffs(t), "anyport")
	leavePinned(t, dir)
	there := entries(t, dir)
	netns, err := os.Open("/proc/thread-self/ns/net") // or it would end now, and the link be detached
	if err != nil {
		t.Fatal(err)
	}
	defer netns.Close()
	netnstest.InNamespace(t)
	if _, err := Open(withListen(pinned(dir)), tabletest.Compile(t, pinned(dir).Routes...), discard); !errors.Is(err, errElsewhere) {
		t.Errorf("Open: %v", err)
	}
	if _, err := Unload(pinned(dir), discard); !errors.Is(err, errElsewhere) {
		t.Errorf("Unload: %v", err)
	}
	if diff := cmp.Diff(there, entries(t, dir)); diff != "" {
		t.Error(diff)
	}
}

// TestPinNowhere: a directory that can hold no pins is told from one that can.
func TestPinNowhere(t *testing.T) {
	netnstest.InNamespace(t)
	for _, dir := range []string{t.TempDir(), "/proc/none/anyport"} {
		_, err := Open(withListen(pinned(dir)), tabletest.Compile(t, pinned(dir).Routes...), discard)
		checkError(t, dir, err, "mount -t bpf -o mode=0700 bpf /sys/fs/bpf")
	}
	checkLocal(t, []string{"127.0.0.0/8", "127.0.0.1/32", "::1/128"})
}

func pin(t *testing.T, m *ebpf.Map, path string) {
	t.Helper()
	copied, err := m.Clone() // which file a map has is written in it
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	if err := copied.Pin(path); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}
