package steering

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/fleet"
	"anyport/steering/program"
)

// fdFleet begins the names of the descriptors of the fleet's programs in an Inheritance.
const fdFleet = "fleet/"

// FleetLinks begins the names of the links of the fleet's programs in an Inheritance.
const FleetLinks = fdFleet + "link/"

// PinFleet has the fleet's programs outlive this process if the steering does; where this process has none, those of the
// one before no longer. Watch does so, too, but later: call it after Set.
func (s *Steering) PinFleet() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fleet == nil {
		return s.pins.RemoveFleet()
	}
	return s.pinFleet()
}

func (s *Steering) pinFleet() error { return s.fleet.Keep(s.pins.KeepFleet) }

// Fleet is the kernel's part of what this host does for conns of others; nil: its programs could not be
// loaded, and the error says why. It serves until Close, and is the same until then.
func (s *Steering) Fleet() (*fleet.Fleet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fleet, s.fleetErr
}

// errNoPeers: the maps take 30 MB, so a host without peers has none.
var errNoPeers = errors.New("anyport began without peers in its file, and has given up the privilege to load what asks them: give as root: anyport reload; or restart it")

// openFleet loads the programs if the file has peers, and goes on with those of the process before. Nothing
// changes for packets until Set.
func (s *Steering) openFleet(cfg *config.Config, in Inheritance) {
	o, before, err := s.fleetObjects(cfg, in)
	if err == nil {
		err = s.fast.Tolerate(append(o.Programs(), before.Programs()...)...)
	}
	if err == nil {
		s.fleet, err = fleet.Open(o, before, s.log)
	} else {
		err = errors.Join(err, o.Close(), before.Close())
	}
	if err != nil {
		s.fleetErr = program.Advise(err)
	}
}

// fleetObjects are those of the process before, or, if these are of another build or read other maps,
// those that came with the upgrade command or new ones: then before are those that they replace.
func (s *Steering) fleetObjects(cfg *config.Config, in Inheritance) (o, before *fleet.Objects, err error) {
	served := servedMaps(&s.objects.SteerMaps)
	if before, err = in.takeFleet(""); before == nil && err == nil {
		before, err = s.pins.LoadFleet()
	}
	if err != nil {
		return nil, nil, err
	}
	if before != nil {
		if err = before.CheckBuild(served); err == nil {
			return before, nil, nil
		}
	}
	if !cfg.Fleet.HasPeers() && (before == nil || before.OnlyLinks()) {
		return nil, nil, errors.Join(errNoPeers, before.Detach(), before.Close(), s.pins.RemoveFleet())
	}
	o, loadErr := in.takeFleet(fdPreloaded)
	switch {
	case o != nil || loadErr != nil:
	case in != nil && program.CheckPrivileges() != nil: // of an upgrade that no command of root has asked for
		loadErr = errNoPeers
	default:
		o, loadErr = fleet.Load(served)
	}
	if loadErr != nil {
		return nil, before, errors.Join(err, loadErr)
	}
	return o, before, nil
}

// servedMaps are what the fleet's programs read of the steering's.
func servedMaps(m *bpf.SteerMaps) fleet.Served {
	return fleet.Served{Generation: m.Generation, PrefixesV4: m.PrefixesV4, PrefixesV6: m.PrefixesV6, Probes: m.Probes}
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

// Storable returns what is for a store of descriptors: of the fleet only the links, so that the packets of
// conns of other hosts go on to them. The socket must end with the process: nobody else answers the others.
func (in Inheritance) Storable() Inheritance {
	rest := Inheritance{}
	for name, fd := range in {
		if !strings.HasPrefix(name, fdFleet) || strings.HasPrefix(name, FleetLinks) {
			rest[name] = fd
		}
	}
	return rest
}

// LimitSegments is that function for the listeners of the steering.
func (s *Steering) LimitSegments(bytes int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return LimitSegments(s.sockets[bpf.SteerSlotTCP], bytes)
}

// LimitSegments bounds the segments that clients of new conns send; 0: their device does. Each SYN-ACK
// says it (TCP_MAXSEG). It needs no privilege.
func LimitSegments(listeners []int, bytes int) error {
	for _, fd := range listeners {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG, bytes); err != nil {
			return fmt.Errorf("limit the segments of clients to %d bytes: %w", bytes, err)
		}
	}
	return nil
}
