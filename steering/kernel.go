package steering

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"sync"

	"anyport/bpf"
	"anyport/config"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// Steering is the program at work in the network namespace that Open was called in.
// Its methods may be called from any goroutine.
type Steering struct {
	objects bpf.SteerObjects
	netns   *os.File
	link    *link.NetNsLink // keep: the kernel detaches the program with the last reference
	grace   *grace
	sockets sockets
	routes  *localRoutes
	log     *slog.Logger

	mu         sync.Mutex
	table      *Table            // in service
	leftover   *Table            // what the idle half may hold; nil: it is empty
	counters   map[string]uint32 // by route name
	generation uint64            // how many tables have served; odd and even ones have a half each
}

// Open opens the sockets, loads table, attaches the program, and makes the prefixes
// local. It needs CAP_BPF and CAP_NET_ADMIN. On error nothing stays behind.
func Open(cfg *config.Config, table *Table, log *slog.Logger) (*Steering, error) {
	s := &Steering{log: log, table: table, counters: numberCounters(nil, table)}
	if err := s.open(cfg); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Steering) open(cfg *config.Config) (err error) {
	runtime.LockOSThread() // the namespace is the thread's
	defer runtime.UnlockOSThread()

	if err := checkPrivileges(); err != nil {
		return err
	}
	if s.netns, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return fmt.Errorf("open this network namespace: %w", err)
	}
	if err := s.load(); err != nil {
		return fmt.Errorf("load the steering program: %w", advise(err))
	}
	if err := s.openSockets(cfg); err != nil {
		return err
	}
	if err := s.half(0).fill(s.table, s.counters); err != nil {
		return fmt.Errorf("fill the steering tables: %w", err)
	}
	others, err := s.programs()
	if err != nil {
		return err
	}
	if len(others) > 0 {
		s.log.Warn("other sk_lookup programs are attached here; a socket that one of them chooses wins", "programs", others)
	}
	if s.link, err = link.AttachNetNs(int(s.netns.Fd()), s.objects.Steer); err != nil {
		return fmt.Errorf("attach the steering program: %w", advise(err))
	}
	return s.openRoutes(cfg, len(others) == 0)
}

// load creates the maps, with room for twice what the table needs and more, because
// their sizes cannot change, and loads the program.
func (s *Steering) load() (err error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return fmt.Errorf("lift RLIMIT_MEMLOCK (before Linux 5.11): %w", err)
	}
	spec, err := bpf.LoadSteer()
	if err != nil {
		return err
	}
	intervals, bindings := room(len(s.table.intervals), 1<<16), room(len(s.table.bindings), 1<<10)
	spec.Maps[bpf.SteerMapIntervals].MaxEntries = 2 * intervals
	spec.Maps[bpf.SteerMapBindings].MaxEntries = 2 * bindings
	spec.Maps[bpf.SteerMapCounters].MaxEntries = 2 * bindings
	if err := spec.LoadAndAssign(&s.objects, nil); err != nil {
		return err
	}
	s.grace, err = newGrace()
	return err
}

// room returns twice n, but no less than least.
func room(n, least int) uint32 { return uint32(max(2*n, least)) }

func (s *Steering) openSockets(cfg *config.Config) error {
	if err := s.sockets.open(cfg.Listen, s.log); err != nil {
		return err
	}
	if s.table.drops() {
		if err := s.sockets.openHoles(); err != nil {
			return err
		}
	}
	return s.sockets.put(s.objects.Sockets, slices.Concat(serving, holes)...)
}

// openRoutes makes the prefixes local. Routes that a crashed run left are taken over
// or removed, unless another program is here, whose they may be.
func (s *Steering) openRoutes(cfg *config.Config, alone bool) (err error) {
	if s.routes, err = newLocalRoutes(); err != nil {
		return err
	}
	if alone {
		if err := s.routes.adopt(); err != nil {
			return err
		}
	}
	plan, err := s.routes.plan(cfg, s.table)
	if err != nil {
		return err
	}
	return errors.Join(s.routes.apply(plan.before), s.routes.apply(plan.after))
}

// TCP returns the listening sockets, one for each worker: non-blocking, for IPv4 and
// IPv6. They stay open until Close.
func (s *Steering) TCP() []int { return s.sockets[bpf.SteerSlotTCP] }

// UDP returns the sockets for datagrams, one for each worker: non-blocking, for IPv4
// and IPv6, with dst (IP_RECVORIGDSTADDR) and the count of dropped ones (SO_RXQ_OVFL)
// as control messages. They stay open until Close.
func (s *Steering) UDP() []int { return s.sockets[bpf.SteerSlotUDP] }

// Refuse has the kernel refuse the first packets of protocol on every served address,
// for good. Established conns live on. Of a flow every datagram is a first one, as
// long as no connected socket has it: refusing UDP ends the flows.
func (s *Steering) Refuse(protocol config.Protocol) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	slot := bpf.SteerSlotTCP
	if protocol == config.UDP {
		slot = bpf.SteerSlotUDP
	}
	err := s.objects.Sockets.Delete(slot)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, ebpf.ErrKeyNotExist) { // EINVAL: empty already
		return fmt.Errorf("refuse new %v: %w", protocol, err)
	}
	return nil
}

// Close ends the steering: first nothing arrives any more, then nothing is steered,
// then the sockets go. In this order nothing falls through to the host's listeners.
func (s *Steering) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	if s.routes != nil {
		errs = append(errs, s.routes.close())
	}
	if s.link != nil {
		errs = append(errs, s.link.Close())
	}
	errs = append(errs, s.sockets.close(slices.Concat(serving, holes)...))
	errs = append(errs, s.objects.Close())
	s.grace.close()
	if s.netns != nil {
		errs = append(errs, s.netns.Close())
	}
	s.routes, s.link, s.netns, s.grace, s.objects = nil, nil, nil, nil, bpf.SteerObjects{}
	return errors.Join(errs...)
}

// half returns the room for one of the two generations.
func (s *Steering) half(generation uint64) half {
	return half{
		maps:       &s.objects.SteerMaps,
		generation: uint32(generation % 2),
		intervals:  s.objects.Intervals.MaxEntries() / 2,
		bindings:   s.objects.Bindings.MaxEntries() / 2,
	}
}
