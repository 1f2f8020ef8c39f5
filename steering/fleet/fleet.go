package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/steering/clock"
	"anyport/steering/inflight"
	"anyport/steering/ingress"
)

// Fleet is this host's part. All methods do nothing on nil. Any goroutine may use it.
type Fleet struct {
	objects *Objects
	before  *Objects // of another build, in service until the first Set; nil: none. setting guards it, with mu
	log     *slog.Logger
	netns   ingress.Namespace
	network network

	relinked     atomic.Bool          // there are other links since Relinked was called last
	learnt, gone atomic.Uint64        // of flows: a peer has them, or has them no more
	told         atomic.Uint64        // events of conns that are here
	view         atomic.Pointer[view] // nil: there are no peers
	seeking      seeking

	setting sync.Mutex // one Set, Release or Close at a time
	stop    func()     // ends the goroutines, and waits for them; nil: there are none
	closed  bool
	begun   bool // Set was called: before, the programs do what the process before had them do

	mu      sync.Mutex // guards what follows, and the links of objects
	options Options
	members members
	socket  *net.UDPConn // nil: there are no peers
	bound   int          // interface index that it is bound to
	device  backplane
	asking  []Device
	off     string // why nothing is asked, or taken
	guard   inflight.Files
	guarded map[string]link.Link // what guard holds
	written written

	convoked time.Duration // by clock.Monotonic, when the bits of peers became these; 0: they are about to change
}

// Open makes a Fleet of objects. Those of another build that are in service go with it, or nil: the first
// Set has o take their place, when o knows the peers. Open owns both, on error too. Nothing changes until
// Set.
func Open(o, before *Objects, log *slog.Logger) (f *Fleet, err error) {
	f = &Fleet{objects: o, before: before, log: log, off: "there are no peers"}
	if f.netns, err = ingress.OpenNamespace(); err == nil {
		f.network.handle, err = netlink.NewHandle(unix.NETLINK_ROUTE)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the fleet's part: %w", err), f.Release())
	}
	return f, nil
}

// halt ends the goroutines. The caller holds setting.
func (f *Fleet) halt() {
	if f.stop != nil {
		f.stop()
	}
	f.stop = nil
}

// speak starts the goroutines. The caller holds setting, and nobody speaks.
func (f *Fleet) speak() error {
	events, err := openEvents(f.objects.events)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { f.watch(ctx) })
	all.Go(func() { f.receive(ctx) })
	all.Go(func() { f.tell(events) })
	f.stop = func() {
		cancel()
		_ = events.Close()
		f.wake()
		all.Wait()
	}
	return nil
}

// wake ends a read of the socket, so that its goroutine looks whether it is to end.
func (f *Fleet) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.socket != nil {
		_ = f.socket.SetReadDeadline(time.Unix(1, 0))
	}
}

// Descriptors are the file descriptors that another process needs to go on. They still belong to f.
func (f *Fleet) Descriptors() map[string]int {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	if f.before != nil && !f.before.OnlyLinks() {
		return f.before.Descriptors()
	}
	all := f.objects.Descriptors()
	maps.Copy(all, f.before.Descriptors())
	if fd := descriptorOf(f.socket); fd >= 0 {
		all[fdSocket] = fd
	}
	return all
}

// Changed is when the members changed last, for another process of this host, by a clock that goes on there; 0: never.
func (f *Fleet) Changed() time.Duration {
	if f == nil {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.members.changedAt(time.Now(), clock.Monotonic())
}

// Remember has this process go on asking as long as the one before would have, whose Changed this was.
func (f *Fleet) Remember(changed time.Duration) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.members.remember(changed, time.Now(), clock.Monotonic())
}

// Keep has do look at the links, while nothing is attached or detached. Until the first Set those of a process
// before are where it has left them.
func (f *Fleet) Keep(do func(links map[string]link.Link) error) error {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.before != nil {
		return nil
	}
	return do(f.objects.Links())
}

// Relinked reports whether there are other links since the last call: who keeps copies of their
// descriptors has old ones.
func (f *Fleet) Relinked() bool { return f != nil && f.relinked.Swap(false) }

// Release closes what this process has. If another process has the descriptors, the programs go on.
func (f *Fleet) Release() error {
	if f == nil {
		return nil
	}
	f.setting.Lock()
	defer f.setting.Unlock()
	return f.release()
}

func (f *Fleet) release() error {
	f.halt()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	err := errors.Join(f.before.Close(), f.guard.Close())
	if f.socket != nil {
		err = errors.Join(err, f.socket.Close())
	}
	f.socket, f.before = nil, nil
	if f.network.handle != nil {
		f.network.handle.Close()
	}
	f.netns.Close()
	return errors.Join(err, f.objects.Close())
}

// Close detaches the programs, whoever else has the descriptors, and releases.
func (f *Fleet) Close() error {
	if f == nil {
		return nil
	}
	f.setting.Lock()
	defer f.setting.Unlock()
	if f.closed {
		return nil
	}
	return errors.Join(f.rest(), f.release())
}
