package steering

import (
	"errors"
	"fmt"
	"slices"

	"anyport/steering/bpfmaps"
)

// Why the kernel refuses the new conns of a route: bits of its entry in the map of drains. Any bit
// refuses (draining in bpf/rule.h).
const (
	drainByHand uint32 = 1 << iota
	noOriginUp
)

// RefuseConns has the kernel refuse the new conns of a route from now on, because it drains or because
// all its origins are down, or take them again if neither is true. It outlives reloads as long as the
// route is in service, and the process where another continues with the steering. Flows are left to
// user space: the kernel can't tell a datagram that begins one from the others. A route that forwards
// nothing has nothing to drain, and its verdict stays.
func (s *Steering) RefuseConns(route string, drains, allDown bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return errors.New("the steering is closed")
	}
	number, serving := s.allNumbers()[route]
	if !serving {
		return fmt.Errorf("no route %q is in service", route)
	}
	why := bpfmaps.Flag(drains)*drainByHand | bpfmaps.Flag(allDown)*noOriginUp
	if err := s.objects.Drains.Put(number, why); err != nil {
		return fmt.Errorf("refuse new conns of route %q: %w", route, err)
	}
	return nil
}

// drainingRoutes returns the names of the routes that drain by hand, sorted.
func (s *Steering) drainingRoutes() (names []string, err error) {
	for name, number := range s.allNumbers() {
		var on uint32
		if err := s.objects.Drains.Lookup(number, &on); err != nil {
			return nil, fmt.Errorf("read whether route %q drains: %w", name, err)
		}
		if on&drainByHand != 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
