package daemon

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"time"

	"anyport/cmd/anyport/internal/upgrade"
	"anyport/proxy/datagram"
	"anyport/steering"
)

// A process that takes the place of another one goes through the same steps of open as any other
// (see open). At four of them it has something to do with the one before: it receives the offer
// (openPredecessor), takes what it needs of that at each step, goes on with the steering once the
// other stands still (inheritSteering), and serves when the other says so (awaitGo).

// openPredecessor receives what the process before offers, if there is one.
func (d *daemon) openPredecessor() (err error) {
	d.instance = rand.Text()
	if d.opt.Predecessor == nil {
		return nil
	}
	if d.before, err = upgrade.Meet(d.opt.Predecessor); err == nil {
		before := d.before
		d.instance = cmp.Or(before.Instance, d.instance)
		d.closers = append(d.closers, before.Close)
	}
	return err
}

// inheritSteering says that all that can fail has not failed, and goes on with the steering when the
// other process reads and accepts nothing any more.
func (d *daemon) inheritSteering(g *generation) (*steering.Steering, error) {
	if err := d.before.ReceiveFlows(g.config.Listen.Workers); err != nil {
		return nil, err
	}
	in := steering.Inheritance(d.before.TakeFDs())
	given := maps.Clone(in)
	s, err := steering.Inherit(g.config, g.table, in, d.log)
	if err == nil {
		d.keepStored(given, s.Handover())
	}
	return s, err
}

// keepStored remembers what the service manager keeps. What this process does not use, or has replaced,
// gets -1: storeFDs makes the manager forget it.
func (d *daemon) keepStored(given, held steering.Inheritance) {
	for _, name := range d.before.Stored {
		d.stored[name] = -1
		if fd, ok := held[name]; ok && fd == given[name] {
			d.stored[name] = fd
		}
	}
}

// awaitGo says that this process would serve, and returns when it has to. From then on it has no
// predecessor, only conns that still come from there.
func (d *daemon) awaitGo() error {
	if d.before == nil {
		return nil
	}
	ahead, err := d.before.Ready()
	if err != nil {
		return err
	}
	d.proxy.Adopt(d.before.TakeFlows(), min(ahead.ConnFiles, d.proxy.Budget().Limit))
	if d.admin != nil {
		d.admin.LeaveFile(false)
	}
	d.incoming = &incoming{from: d.before, over: make(chan struct{})}
	d.before = nil
	d.opt.Guard.TakeOver()
	d.openSaved()
	kernel, _ := d.steering.Fleet()
	kernel.Remember(ahead.PeersChanged)
	d.usePeers(d.serving.Load())
	return nil
}

// incoming are conns that still come from the process before. Both processes serve meanwhile, each its
// own conns; an upgrade of this one waits for the last.
type incoming struct {
	from *upgrade.Predecessor
	over chan struct{} // closed after the last
}

// receiveConns goes on with the conns of the process before until that has no more.
func (d *daemon) receiveConns(in *incoming) {
	defer close(in.over)
	defer d.proxy.AdoptConns(nil)
	<-d.proxy.Opened() // conns must not take the files that the loops need to begin
	n, err := in.from.ReceiveConns(d.proxy.AdoptConns)
	if err != nil {
		d.log.Warn("live conns stay with the process before", "problem", err)
	}
	d.log.Info("took over from the process before", "conns", n)
}

// awaitConns returns when the process before has given all that it had.
func (d *daemon) awaitConns(ctx context.Context) error {
	if d.incoming == nil {
		return nil
	}
	select {
	case <-d.incoming.over:
		return nil
	case <-ctx.Done():
		return upgrade.ErrCancelled
	case <-time.After(upgrade.Timeout):
		return errors.New("the process before is still handing over its conns")
	}
}

// closeSteering leaves the steering to the process before, if that still serves.
func (d *daemon) closeSteering() error {
	if d.before != nil {
		return d.steering.Release()
	}
	return d.steering.Close()
}

// openRaw opens the raw sockets before the capability for that is given up.
func (d *daemon) openRaw() {
	if d.before != nil {
		d.raw = datagram.TakeRaw(d.before.Take(upgrade.FDRawIPv4), d.before.Take(upgrade.FDRawIPv6))
	} else {
		d.raw = datagram.OpenRaw()
	}
	d.closers = append(d.closers, d.raw.Close)
}
