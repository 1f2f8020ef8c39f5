package program

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"anyport/bpf"
)

// SavedMap is the name of the map that keeps the counters and orders of the process. The program does not
// use it. It is pinned, stored and handed over with the others, and it stays when another program takes
// the place of this one.
const SavedMap = "saved"

// Sizes of the saved map, in values of one page: it has room for the counters of some thousand routes, and
// for more if the table has more bindings. The kernel allocates all of it at once.
const (
	savedValue    = 4096
	savedLeast    = 1536 << 10
	savedPerRoute = 512
)

// newSaved makes the saved map for a table with room for that many bindings. Since Linux 5.5 a process
// can map the memory of an array into its own, and needs no privileges to write there.
func newSaved(bindings uint32) (*ebpf.Map, error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: SavedMap, Type: ebpf.Array, Flags: unix.BPF_F_MMAPABLE,
		KeySize: 4, ValueSize: savedValue, MaxEntries: (savedLeast + savedPerRoute*bindings) / savedValue,
	})
	if err != nil {
		return nil, fmt.Errorf("the map %s: %w", SavedMap, err)
	}
	return m, nil
}

// CheckSaved says whether m is a saved map, of whatever size.
func CheckSaved(m *ebpf.Map) error {
	if m.Type() != ebpf.Array || m.Flags()&unix.BPF_F_MMAPABLE == 0 || m.KeySize() != 4 || m.ValueSize() != savedValue {
		return errors.New("it is not memory of anyport")
	}
	return nil
}

// CheckNonces says whether m is the map of used nonces, which the program does not use either.
func CheckNonces(m *ebpf.Map) error {
	spec, err := bpf.LoadSteer()
	if err != nil {
		return err
	}
	return spec.Maps[bpf.SteerMapKnockNonces].Compatible(m)
}
