package daemon

import (
	"context"
	"maps"
	"slices"

	"anyport/steering"
)

// openSteering goes on with what the service manager kept of a process that is gone,
// whose clients wait in the queues of its sockets. Where that is of no use it begins anew.
func (d *daemon) openSteering(g *generation) (*steering.Steering, error) {
	if d.before != nil {
		return d.inheritSteering(g)
	}
	if len(d.stored) == 0 {
		return steering.Open(g.config, g.table, d.log)
	}
	s, err := steering.Inherit(g.config, g.table, maps.Clone(d.stored), d.log)
	if err == nil {
		d.log.Info("serving on the sockets that the service manager kept", "kept", len(d.stored))
		return s, nil
	}
	d.log.Warn("what the service manager kept cannot be used: who waited there is refused", "error", err)
	for name := range d.stored {
		d.forget(name)
	}
	return steering.Open(g.config, g.table, d.log)
}

// store has the service manager keep what the next process goes on with, should this
// one be killed: the sockets, and what steers to them unless that is pinned.
func (d *daemon) store() {
	if !d.opt.Manager.Listens() {
		return
	}
	if d.relinked.Swap(false) { // even if the number is the same
		d.forget(steering.Link)
	}
	held := d.steering.Handover()
	if d.steering.Pinned() {
		held = held.Sockets()
	}
	for name, fd := range d.stored {
		if now, still := held[name]; !still || now != fd {
			d.forget(name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(held)) {
		if _, stored := d.stored[name]; stored {
			continue
		}
		d.tell(d.opt.Manager.Store(name, held[name]))
		d.stored[name] = held[name]
	}
}

// storeLink has the service manager keep the link that the steering has now. If an upgrade
// is in between, that stores it first.
func (d *daemon) storeLink(ctx context.Context) {
	d.relinked.Store(true)
	_ = d.decide(ctx, func() error {
		d.store()
		return nil
	})
}

func (d *daemon) forget(name string) {
	if _, stored := d.stored[name]; !stored {
		return
	}
	d.tell(d.opt.Manager.Forget(name))
	delete(d.stored, name)
}

// tell is for messages to the service manager, which nothing here depends on.
func (d *daemon) tell(err error) {
	if err != nil {
		d.log.Warn("the service manager was not told", "error", err)
	}
}
