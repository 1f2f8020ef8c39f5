package steering

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"anyport/bpf"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Drift compares what is in the kernel with the table in service, entry by entry, and
// says what differs, a line for each thing. Where nobody else writes to the maps,
// nothing does. A million prefixes take some seconds.
func (s *Steering) Drift() ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed() {
		return nil, errors.New("the steering is closed")
	}
	if err := s.audit(time.Now(), 0); err != nil {
		return nil, err
	}
	var generation uint32
	if err := s.objects.Generation.Lookup(uint32(0), &generation); err != nil {
		return nil, fmt.Errorf("read the generation: %w", err)
	}
	if generation != s.generation {
		return []string{fmt.Sprintf("generation %d is in service, and not %d", generation, s.generation)}, nil
	}
	var d drift
	for _, what := range s.missing() {
		d.add("%s", what)
	}
	err := errors.Join(d.slots(&s.sockets, s.objects.Sockets), d.tables(s.half(generation), s.table, s.numbers))
	return d.lines(), err
}

// drift is what differs.
type drift struct {
	first []string
	more  int
}

// mostDrift is how many differences are told.
const mostDrift = 20

func (d *drift) add(format string, args ...any) {
	if len(d.first) < mostDrift {
		d.first = append(d.first, fmt.Sprintf(format, args...))
		return
	}
	d.more++
}

func (d *drift) lines() []string {
	slices.Sort(d.first)
	if d.more == 0 {
		return d.first
	}
	return append(d.first, fmt.Sprintf("and %d more", d.more))
}

// slots wants each socket to be in its slot.
func (d *drift) slots(sockets *sockets, m *ebpf.Map) error {
	for _, slot := range slices.Concat(serving, holes) {
		for place, fd := range sockets.places(slot) {
			want, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
			if err != nil {
				return fmt.Errorf("cookie of the %s socket: %w", slotNames[slot], err)
			}
			var got uint64
			err = m.Lookup(place, &got)
			if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
				return fmt.Errorf("read the sockets: %w", err)
			}
			if got != want {
				d.add("the %s socket is not in its slot", slotNames[slot])
			}
		}
	}
	return nil
}

func (d *drift) tables(h half, t *Table, numbers map[string]uint32) error {
	m, first := h.maps, h.firstBinding()
	return errors.Join(
		compare(d, m.Bindings, h.bindingEntries(t, numbers), func(i uint32) string { return t.owner(i - first) }),
		compare(d, m.Intervals, h.intervalEntries(t), func(i uint32) string { return fmt.Sprintf("port interval %d", i-h.firstInterval()) }),
		compareTrie(d, m.Sources, h.sourceEntries(t), h.hasSource, func(k bpf.SteerSource) string {
			return fmt.Sprintf("client prefix %s of %s", bits(k.Addr[:], k.Prefixlen), t.owner(k.List-first))
		}),
		compareTrie(d, m.PrefixesV4, h.v4Entries(t), h.hasV4, func(k bpf.SteerPrefixV4) string {
			return "prefix " + bits([]uint32{k.Addr}, k.Prefixlen).String()
		}),
		compareTrie(d, m.PrefixesV6, h.v6Entries(t), h.hasV6, func(k bpf.SteerPrefixV6) string {
			return "prefix " + bits(k.Addr[:], k.Prefixlen).String()
		}),
	)
}

// compare wants the entries in an array.
func compare[V comparable](d *drift, m *ebpf.Map, entries iter.Seq2[uint32, V], name func(uint32) string) error {
	for i, want := range entries {
		var got V
		if err := m.Lookup(i, &got); err != nil {
			return fmt.Errorf("read %v: %w", m, err)
		}
		if got != want {
			d.add("%s: something else is in the kernel", name(i))
		}
	}
	return nil
}

// compareTrie wants the entries, and of what is ours no others.
func compareTrie[K, V comparable](d *drift, m *ebpf.Map, entries iter.Seq2[K, V], ours func(K) bool, name func(K) string) error {
	missing := maps.Collect(entries)
	err := each(m, func(key K, got V) {
		want, wanted := missing[key]
		switch {
		case !ours(key):
			return
		case !wanted:
			d.add("%s: it is in the kernel, and not in the config in service", name(key))
		case got != want:
			d.add("%s: something else is in the kernel", name(key))
		}
		delete(missing, key)
	})
	if err != nil {
		return fmt.Errorf("read %v: %w", m, err)
	}
	for key := range missing {
		d.add("%s: it is not in the kernel", name(key))
	}
	return nil
}
