package daemon

import "anyport/cmd/anyport/internal/admin"

// use puts into service what was read, for all clients or for a share of them. It takes the access log, unless it
// fails.
func (d *daemon) use(read *reload) (r admin.Reloaded, err error) {
	old, t := d.serving.Load().config.Log, d.trial.Load()
	if read.share > 0 && t != nil {
		return d.changeShare(t, read.next, read.share) // t has its access log
	}
	if read.share > 0 {
		r, err = d.beginTrial(read.next, read.share, read.access)
	} else if r, err = d.replace(read.next); err == nil {
		d.useAccess(old, read.next.config.Log, read.access)
	}
	if err == nil {
		read.access = nil
	}
	return r, err
}

// replace puts next into service, or changes nothing.
func (d *daemon) replace(next *generation) (admin.Reloaded, error) {
	if err := d.checkChangeable(); err != nil {
		return admin.Reloaded{}, err
	}
	r := d.changes(d.serving.Load(), next)
	if err := d.checkAnnounce(next.config); err != nil {
		return r, err
	}
	// The proxy first: a conn that the kernel steers by the new table must find its route.
	trial := d.proxy.Try(next.table, next.config.Routes)
	if err := d.steering.Replace(next.config, next.table); err != nil {
		trial.Undo()
		return r, err
	}
	trial.Keep(d.steering.Table())
	d.enterService(next)
	r.Generation = next.number
	return r, nil
}

// enterService does what follows once the proxy and the kernel serve only next.
func (d *daemon) enterService(next *generation) {
	d.serving.Store(next)
	d.noteLoaded()
	d.usePeers(next)
	d.kernel.only(next.routeNames())
	d.settleRoutes()
	d.lines.SetLevel(next.config.Log.Level)
}

// settleRoutes has the hours and drains of the routes in service applied, and all descriptors stored.
func (d *daemon) settleRoutes() {
	d.applyHours()
	if err := d.setDrains(*d.drains.Load()); err != nil {
		d.log.Error("cannot drain a route after the reload: it may take conns", "error", err)
	}
	d.storeFDs() // a socket may have come or gone
}
