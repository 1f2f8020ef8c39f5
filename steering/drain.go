package steering

import (
	"errors"
	"fmt"
	"slices"

	"anyport/steering/bpfmaps"
)

// Drain has the kernel refuse the new conns of a route from now on, or take them again.
// It outlives reloads as long as the route is in service, and the process where another
// continues with the steering. Flows are left to user space: the kernel can't tell a
// datagram that begins one from the others. A route that forwards nothing has nothing
// to drain, and its verdict stays.
func (s *Steering) Drain(route string, on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return errors.New("the steering is closed")
	}
	number, serving := s.numbers[route]
	if !serving {
		return fmt.Errorf("no route %q is in service", route)
	}
	if err := s.objects.Drains.Put(number, bpfmaps.Flag(on)); err != nil {
		return fmt.Errorf("drain route %q: %w", route, err)
	}
	return nil
}

// drainingRoutes returns the names of the routes that drain, sorted.
func (s *Steering) drainingRoutes() (names []string, err error) {
	for name, number := range s.numbers {
		var on uint32
		if err := s.objects.Drains.Lookup(number, &on); err != nil {
			return nil, fmt.Errorf("read whether route %q drains: %w", name, err)
		}
		if on != 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
