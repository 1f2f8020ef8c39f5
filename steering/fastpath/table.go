package fastpath

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"anyport/bpf"
)

// The numbers of the map fast_generation: FAST_NOW and FAST_MANY of fast.h.
const (
	numberNow uint32 = iota
	numberMany
)

// table is the entries of all flows. It does not own the maps. The program looks into few first, and into
// many only if it was ever used. Several processes may use the maps, and a key may be in both, if another
// process put it into many.
type table struct {
	few, many *ebpf.Map
	numbers   *ebpf.Map
	usesMany  bool // as far as this process knows: it finds all entries that it has put or adopted
	fewIsFull bool // as far as this process knows: what others delete in few stays free

	key   key // memory for what a system call reads and writes
	entry entry
}

// newTable is that of the objects.
func newTable(o *Objects) table { return table{few: o.Few, many: o.Flows, numbers: o.Generation} }

// put makes an entry, or replaces it.
func (t *table) put(k key, e entry) error {
	t.key, t.entry = k, e
	if !t.fewIsFull {
		err := t.few.Put(&t.key, &t.entry)
		if !errors.Is(err, unix.E2BIG) {
			return err
		}
		t.fewIsFull = true
	}
	if err := t.useMany(); err != nil {
		return err
	}
	return t.many.Put(&t.key, &t.entry)
}

// useMany has the program look into many. It does so until the maps end.
func (t *table) useMany() error {
	if t.usesMany {
		return nil
	}
	if err := t.numbers.Put(numberMany, uint32(1)); err != nil {
		return fmt.Errorf("have the program use the map %s: %w", bpf.FastMapFastFlows, err)
	}
	t.usesMany = true
	return nil
}

// maps yields those in which an entry of this process may be.
func (t *table) maps(yield func(*ebpf.Map) bool) {
	_ = yield(t.few) && t.usesMany && yield(t.many)
}

// remove deletes the entry of a key, whose ever it is.
func (t *table) remove(k key) {
	t.key = k
	for m := range t.maps {
		t.delete(m)
	}
}

// delete deletes the entry of t.key, if it is there.
func (t *table) delete(m *ebpf.Map) {
	if m.Delete(&t.key) == nil && m == t.few {
		t.fewIsFull = false
	}
}

// take deletes the entry of a key if it is of that flow, and returns it.
func (t *table) take(k key, id uint64) (taken entry, ok bool) {
	t.key = k
	for m := range t.maps {
		if m.Lookup(&t.key, &t.entry) == nil && t.entry.Id == id {
			t.delete(m)
			taken, ok = t.entry, true
		}
	}
	return taken, ok
}

// adopt reads the entries that there are. Where a key has two, the program uses one of them: the other is
// deleted.
func (t *table) adopt() (map[key]entry, error) {
	all, err := readAll[key, entry](t.few)
	if err != nil {
		return nil, err
	}
	more, err := readAll[key, entry](t.many)
	if err != nil {
		return nil, err
	}
	t.usesMany = t.usesMany || len(more) > 0
	for k, e := range more {
		if _, twice := all[k]; twice {
			_ = t.many.Delete(&k)
			continue
		}
		all[k] = e
	}
	return all, nil
}

// readAll reads a map, some entries with each call of the kernel (since Linux 5.6).
func readAll[K comparable, V any](m *ebpf.Map) (map[K]V, error) {
	all := map[K]V{}
	var cursor ebpf.MapBatchCursor
	keys, values := make([]K, 4096), make([]V, 4096)
	for {
		n, err := m.BatchLookup(&cursor, keys, values, nil)
		for i := range n {
			all[keys[i]] = values[i]
		}
		if errors.Is(err, ebpf.ErrKeyNotExist) { // that was the last of it
			return all, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
