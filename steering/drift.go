package steering

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"anyport/steering/bpfmaps"
)

// Drift compares what is in the kernel with the table in service, entry by entry, and
// says what differs, a line for each thing. Where nobody else writes to the maps,
// nothing does. A million prefixes take some seconds.
func (s *Steering) Drift() ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return nil, errors.New("the steering is closed")
	}
	if err := s.keeper.Compare(time.Now(), 0); err != nil {
		return nil, err
	}
	generation, err := s.servedTables()
	if err != nil {
		return nil, err
	}
	if generation != s.generation {
		return []string{fmt.Sprintf("generation %d is in service, and not %d", generation, s.generation)}, nil
	}
	var d bpfmaps.Differences
	for _, what := range append(s.keeper.Missing(), s.returning.lacking()...) {
		d.Add("%s", what)
	}
	err = errors.Join(s.sockets.compare(s.objects.Sockets, &d), s.half(generation).Compare(&d, s.table, s.numbers), s.compareTrial(&d))
	return d.Lines(), err
}

// compare wants each socket to be in its slot.
func (sockets *sockets) compare(m *ebpf.Map, d *bpfmaps.Differences) error {
	for _, slot := range slices.Concat(servingSlots, dropSlots) {
		for place, fd := range sockets.mapEntries(slot) {
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
				d.Add("the %s socket is not in its slot", slotNames[slot])
			}
		}
	}
	return nil
}
