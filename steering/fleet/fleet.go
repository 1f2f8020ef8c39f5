package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/steering/ingress"
)

// Fleet is this host's part. All methods do nothing on nil. Any goroutine may use it.
type Fleet struct {
	objects *Objects
	before  *Objects // of another build, in service until the first Set; nil: none. setting guards it, with mu
	log     *slog.Logger
	netns   ingress.Namespace
	network network

	learnt, told, gone atomic.Uint64

	setting sync.Mutex // one Set, Release or Close at a time
	stop    func()     // ends the goroutines, and waits for them; nil: there are none
	closed  bool

	mu      sync.Mutex // guards what follows, and the links of objects
	options Options
	members members
	socket  *net.UDPConn // nil: there are no peers
	bound   int          // interface index that it is bound to
	device  backplane
	asking  []Device
	off     string // why nothing is asked, or taken
	written written
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

// Set puts options in force: attaches the programs, or detaches them if there are no peers, and has
// goroutines speak with the peers. What is known about conns of peers that stay is kept. If the device or
// the socket can't be used, the options before stay in force. After another error there are no peers.
func (f *Fleet) Set(o Options) error {
	if f == nil {
		return nil
	}
	f.setting.Lock()
	defer f.setting.Unlock()
	switch {
	case f.closed:
		return errors.New("the fleet's part is closed")
	case o.equal(f.options) && f.before == nil:
		return nil
	case len(o.Peers) == 0:
		return f.rest()
	}
	if err := o.check(); err != nil {
		return err
	}
	device := f.network.find(o.Device)
	if device.off != "" {
		return errors.New(device.off)
	}
	socket, err := f.socketFor(o)
	if err != nil {
		return err
	}
	f.halt()
	if err = f.begin(o, device.index, socket); err == nil {
		err = f.speak()
	}
	if err != nil {
		err = errors.Join(err, f.rest())
	}
	return err
}

// socketFor is the socket that there is, if it will do, or a new one.
func (f *Fleet) socketFor(o Options) (socket *net.UDPConn, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, there := range f.sockets() {
		if isBoundTo(*there, o.Device, o.Local) {
			return *there, nil
		}
	}
	err = f.netns.Within(func() error {
		socket, err = listen(o.Device, o.Local)
		return err
	})
	return socket, err
}

// begin puts options in force. The caller holds setting, and nobody speaks.
func (f *Fleet) begin(o Options, index int, socket *net.UDPConn) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, before := range f.sockets() {
		if *before != socket {
			_ = (*before).Close()
		}
		*before = nil
	}
	f.options, f.socket, f.bound = o, socket, index
	f.members.set(o.Peers, time.Now())
	f.adoptAsked(time.Now())
	if f.before != nil {
		if err := errors.Join(f.look(), f.objects.TakeLinks(f.before)); err != nil {
			return err
		}
		f.before = nil
	}
	return f.update(true)
}

// sockets are those that there are: in use, or of the process before.
func (f *Fleet) sockets() (all []**net.UDPConn) {
	for _, s := range []**net.UDPConn{&f.socket, &f.objects.socket, f.before.socketOf()} {
		if s != nil && *s != nil {
			all = append(all, s)
		}
	}
	return all
}

// rest ends what is done for peers. The caller holds setting.
func (f *Fleet) rest() error {
	f.sayBye()
	f.halt()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.options = Options{}
	f.members.set(nil, time.Now())
	err := errors.Join(f.writeAll(backplane{}), f.objects.detach(), f.before.detach(), f.before.Close())
	for _, s := range f.sockets() {
		err = errors.Join(err, (*s).Close())
		*s = nil
	}
	f.before, f.asking, f.device, f.off = nil, nil, backplane{}, "there are no peers"
	return err
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
	if f.before != nil {
		return f.before.Descriptors()
	}
	all := f.objects.Descriptors()
	if fd := descriptorOf(f.socket); fd >= 0 {
		all[fdSocket] = fd
	}
	return all
}

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
	err := f.before.Close()
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
