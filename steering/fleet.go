package steering

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/steering/fleet"
	"anyport/steering/program"
)

// fdFleet begins the names of the descriptors of the fleet's programs in an Inheritance.
const fdFleet = "fleet/"

// Fleet is the kernel's part of what this host does for conns of others; nil: its programs could not be
// loaded, and the error says why. It serves until Close, and is the same until then.
func (s *Steering) Fleet() (*fleet.Fleet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fleet, s.fleetErr
}

// openFleet loads the programs, whether the file has peers or not: a reload may, and has no privilege to
// load them. It comes after the first table: with programs of another build in use, no packet is to
// meet new ones whose maps are empty.
func (s *Steering) openFleet(in Inheritance) {
	o, err := s.fleetObjects(in)
	if err == nil {
		s.fleet, err = fleet.Open(o, s.log)
	}
	if err != nil {
		s.fleetErr = program.Advise(err)
		s.log.Debug("conns of other hosts cannot be sent on", "because", s.fleetErr)
	}
}

// fleetObjects are those of the process before, or, if these are of another build or read other maps,
// those that came with the upgrade command or new ones.
func (s *Steering) fleetObjects(in Inheritance) (*fleet.Objects, error) {
	served := servedMaps(&s.objects.SteerMaps)
	before, err := in.takeFleet("")
	if before != nil {
		if err = before.CheckBuild(served); err == nil {
			return before, nil
		}
	}
	next, loadErr := in.takeFleet(fdPreloaded)
	if loadErr == nil && next == nil {
		next, loadErr = fleet.Load(served)
	}
	if loadErr != nil {
		return nil, errors.Join(err, loadErr, before.Close())
	}
	if before == nil {
		return next, nil
	}
	return next, next.TakeLinks(before)
}

// servedMaps are what the fleet's programs read of the steering's.
func servedMaps(m *bpf.SteerMaps) fleet.Served {
	return fleet.Served{Generation: m.Generation, PrefixesV4: m.PrefixesV4, PrefixesV6: m.PrefixesV6}
}

// takeFleet takes the objects out of in whose names have the prefix; nil: there are none.
func (in Inheritance) takeFleet(prefix string) (*fleet.Objects, error) {
	taken := map[string]int{}
	for name := range in {
		if short, ok := strings.CutPrefix(name, prefix+fdFleet); ok {
			taken[short], _ = in.take(name)
		}
	}
	if len(taken) == 0 {
		return nil, nil
	}
	return fleet.FromDescriptors(taken)
}

// addFleet adds the descriptors of the fleet's programs.
func (in Inheritance) addFleet(descriptors map[string]int, prefix string) {
	for name, fd := range descriptors {
		in[prefix+fdFleet+name] = fd
	}
}

// WithoutFleet returns all but what the fleet's programs are. These must end with the process: nobody
// else answers the other hosts.
func (in Inheritance) WithoutFleet() Inheritance {
	rest := Inheritance{}
	for name, fd := range in {
		if !strings.HasPrefix(name, fdFleet) {
			rest[name] = fd
		}
	}
	return rest
}

// LimitSegments bounds the segments that clients of new conns send; 0: their device does. Each SYN-ACK
// says it (TCP_MAXSEG). It needs no privilege.
func (s *Steering) LimitSegments(bytes int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fd := range s.sockets[bpf.SteerSlotTCP] {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG, bytes); err != nil {
			return fmt.Errorf("limit the segments of clients to %d bytes: %w", bytes, err)
		}
	}
	return nil
}
