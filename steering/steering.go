package steering

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/fastpath"
	"anyport/steering/fleet"
	"anyport/steering/host"
	"anyport/steering/inflight"
	"anyport/steering/instances"
	"anyport/steering/pins"
	"anyport/steering/program"
	"anyport/steering/services"
	"anyport/steering/table"
)

// Steering is the attached program, with its maps, sockets and local routes, in the network
// namespace that Open was called in. Its methods may be called from any goroutine: mu guards
// everything that changes after Open. It starts no goroutine itself, except for the one of the
// announcement; [Steering.Watch] runs on the goroutine of its caller.
type Steering struct {
	loaded          program.Loaded   // program, maps and link
	objects         bpf.SteerObjects // the same program and maps, by their fields
	netns           *os.File         // the namespace, also for threads that are in another one
	sockets         sockets
	routes          *host.LocalRoutes
	keeper          *host.Keeper      // of the routes
	monitor         *host.Monitor     // tells of changes to what the routes stand on
	returning       returnPath        // of what origins send to clients
	fast            *fastpath.Path    // nil: see fastErr; it has mutexes of its own
	fastErr         error             // why there is no fast path
	fleet           *fleet.Fleet      // nil: see fleetErr; it has mutexes of its own
	fleetErr        error             // why its programs are not loaded
	services        *services.Watcher // of routes with action = "socket"; it has a mutex of its own
	hook            *services.Hook    // its program, which belongs to it; nil: it could not be loaded
	announcement    *instances.Announcement
	guard           inflight.Files // holds the link, see link_guard.go
	pins            *pins.Dir      // nil: none
	outlives        bool           // the steering does not end with an orderly stop of this process
	unpins          bool           // an orderly stop removes what is pinned
	deadPrograms    []uint32       // programs that unload removes
	formerProgram   *ebpf.Program  // of another build, attached until the first table is filled; nil: none
	formerDoors     *ebpf.Map      // the map of doors of formerProgram, until closeFormer; nil: none
	programReplaced bool           // another program was attached: what is pinned is not ours yet
	log             *slog.Logger

	mu              sync.Mutex
	config          *config.Config
	requested       *table.Table               // what config says
	retired         map[netip.Prefix]time.Time // prefixes that are still local, and until when they may be
	table           *table.Table               // in service: requested, with retired
	exposedPrefixes []netip.Prefix             // lead to the host's listeners if this process dies
	idleTable       *table.Table               // what the half that does not serve may hold; nil: it is empty
	numbers         map[string]uint32          // of the routes, by name
	validUntil      map[string]uint64          // of the routes with active, by name, as bpfmaps.ValidUntil returns it
	generation      uint32                     // of the table in service; odd and even ones have a half each
	tracing         bool                       // somebody traces: see trace.go
	trial           *trial                     // a table that serves some clients from the other half; nil: none
	probed          bool                       // programs of a fleet ask for sockets: see ExpectProbes
	shared          bool                       // another process takes the TCP conns of some clients: see ShareConns
}

// TCP returns the listening sockets, one for each worker: non-blocking, for IPv4 and
// IPv6. They stay open until Close.
func (s *Steering) TCP() []int { return s.sockets[bpf.SteerSlotTCP] }

// UDP returns the sockets for datagrams, one for each worker: non-blocking, for IPv4
// and IPv6, with dst as a control message (IP_RECVORIGDSTADDR). They stay open until Close.
func (s *Steering) UDP() []int { return s.sockets[bpf.SteerSlotUDP] }

// Refuse has the kernel refuse the first packets of protocol on every served address from now
// on. Established conns continue. To the kernel every datagram of a flow without a connected
// socket is a first one, so refusing UDP ends the flows. It takes an RCU grace period: see withdraw.
func (s *Steering) Refuse(protocol config.Protocol) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return nil
	}
	slot := bpf.SteerSlotTCP
	if protocol == config.UDP {
		slot = bpf.SteerSlotUDP
	}
	standIns := s.withdraw(slot)
	for place := range s.sockets.mapEntries(slot) {
		err := s.objects.Sockets.Delete(place)
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, ebpf.ErrKeyNotExist) { // EINVAL: empty already
			return errors.Join(fmt.Errorf("refuse new %v: %w", protocol, err), closeStandIns(standIns))
		}
	}
	return closeStandIns(standIns)
}

// Close ends the steering: first nothing arrives any more, then nothing is steered,
// then the sockets go. In this order nothing falls through to the host's listeners.
// A steering that steering.pin names a directory for stays, and refuses all that it would
// have steered.
func (s *Steering) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.fleet.Close(), s.fast.Close(), s.pins.RemoveFast(), s.pins.RemoveFleet(), s.endReturnPath(), s.release(s.outlives))
}

// Release closes what this process has of the steering and removes nothing: after a
// hand-over it is the other's. What was never handed over ends with its last file
// descriptor, except for the local routes.
func (s *Steering) Release() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.release(true)
}

// GiveBack ends the steering at once, also what is pinned, while the sockets stay open: accepted conns
// go on as far as their packets still come. Close ends the rest.
func (s *Steering) GiveBack() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return nil
	}
	s.unpins, s.outlives = s.pins != nil, false
	fastErr := errors.Join(s.fleet.Close(), s.fast.Close())
	standIns := s.withdraw(servingSlots...)
	return errors.Join(fastErr, s.detach(false), closeStandIns(standIns))
}

// release closes everything; with keep, the local routes and pins stay. It may be called again,
// and on what open has left half done. The order matters: the routes end before the link, and
// the link before the sockets, so that no packet reaches the host's own listeners.
func (s *Steering) release(keep bool) error {
	errs := []error{s.detach(keep)}
	errs = append(errs, s.sockets.closeSlots(slices.Concat(servingSlots, dropSlots)...))
	errs = append(errs, s.services.Close(), s.loaded.Close(), s.closeFormer(), s.pins.Close())
	if s.netns != nil {
		errs = append(errs, s.netns.Close())
	}
	s.objects, s.pins, s.netns, s.services, s.hook = bpf.SteerObjects{}, nil, nil, nil, nil
	return errors.Join(errs...)
}

// detach closes everything that brings packets here.
func (s *Steering) detach(keep bool) error {
	errs := []error{s.announcement.Close(), s.monitor.Close()}
	if s.routes != nil {
		errs = append(errs, s.routes.Close(keep))
	}
	errs = append(errs, s.returning.close(), s.fleet.Release(), s.fast.Release())
	if !keep && s.unpins {
		errs = append(errs, s.pins.Remove())
	}
	errs = append(errs, s.closeLinkReferences())
	s.announcement, s.routes, s.monitor, s.unpins = nil, nil, nil, false
	return errors.Join(errs...)
}

// isClosed is also true before open has come to the routes. The caller holds mu.
func (s *Steering) isClosed() bool { return s.routes == nil }
