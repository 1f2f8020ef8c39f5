package daemon

import (
	"context"
	"maps"
	"slices"
	"strings"

	"anyport/steering"
)

// storeFDs makes the service manager keep what the next process needs if this one is killed: the
// sockets, and what steers to them unless that is pinned. Clients then wait in the queues of the
// sockets. It is idempotent: it sends only what has changed.
func (d *daemon) storeFDs() {
	if !d.opt.Manager.Listens() || d.confirm.waiting() || d.confirm.missed {
		return
	}
	if d.relinked.Swap(false) { // even if the number is the same
		d.forgetFD(steering.Link)
		for name := range maps.Clone(d.stored) {
			if strings.HasPrefix(name, steering.FastLinks) || strings.HasPrefix(name, steering.FleetLinks) {
				d.forgetFD(name)
			}
		}
	}
	held := d.steering.Handover().Storable()
	if d.steering.Pinned() {
		held = held.Sockets()
	}
	for name, fd := range d.stored {
		if now, still := held[name]; !still || now != fd {
			d.forgetFD(name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(held)) {
		if _, stored := d.stored[name]; stored {
			continue
		}
		d.checkNotified(d.opt.Manager.Store(name, held[name]))
		d.stored[name] = held[name]
	}
}

// storeLink makes the service manager keep the links that the steering has now, which have replaced others.
// If an upgrade begins first, that does it.
func (d *daemon) storeLink(ctx context.Context) {
	d.relinked.Store(true)
	d.relinks.Add(1)
	_ = d.decide(ctx, func() error {
		d.storeFDs()
		return nil
	})
}

// forgetFD makes the service manager close its copy.
func (d *daemon) forgetFD(name string) {
	if _, stored := d.stored[name]; !stored {
		return
	}
	d.checkNotified(d.opt.Manager.Forget(name))
	delete(d.stored, name)
}

// checkNotified logs that a message did not reach the service manager. Nothing here depends on it.
func (d *daemon) checkNotified(err error) {
	if err != nil {
		d.log.Warn("cannot notify the service manager", "error", err)
	}
}
