package fleet

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/cilium/ebpf"

	"anyport/steering/clock"
)

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
	case o.Equal(f.options) && f.begun:
		return nil
	case len(o.Peers) == 0:
		f.begun = true
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
	f.begun = true
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
	if err := f.dismiss(); err != nil {
		return err
	}
	f.options, f.socket, f.bound = o, socket, index
	f.members.set(o.Peers, time.Now())
	f.adoptAsked(time.Now())
	if f.before != nil {
		if err := errors.Join(f.copyLearnt(), f.look(), f.objects.TakeLinks(f.before)); err != nil {
			return err
		}
		f.before = nil
	}
	err := f.update(true)
	f.convoked = clock.Monotonic()
	return err
}

// copyLearnt has the programs know what those of another build have learnt, if their maps are alike. What is
// learnt meanwhile is asked for again, and so is the rest if the map changes under the reading. The caller
// holds mu.
func (f *Fleet) copyLearnt() error {
	from, to := f.before.learnt, f.objects.learnt
	if from == nil || from.KeySize() != to.KeySize() || from.ValueSize() != to.ValueSize() {
		return nil
	}
	var conn body
	var owner [4]uint32
	all := from.Iterate()
	for all.Next(&conn, &owner) {
		if err := to.Put(conn, owner); err != nil {
			return fmt.Errorf("copy what was learnt about conns: %w", err)
		}
	}
	return ignore(ebpf.ErrIterationAborted, all.Err())
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
	f.readWritten()
	err := errors.Join(f.dismiss(), f.writeAll(backplane{}), f.netns.Within(func() error { return errors.Join(f.objects.Detach(), f.before.Detach()) }), f.before.Close(), f.guardLinks())
	for _, s := range f.sockets() {
		err = errors.Join(err, (*s).Close())
		*s = nil
	}
	f.before, f.asking, f.device, f.off = nil, nil, backplane{}, "there are no peers"
	return err
}
