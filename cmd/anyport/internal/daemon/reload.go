package daemon

import (
	"errors"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/fleet/follow"
	"anyport/config"
	"anyport/proxy/accesslog"
	"anyport/steering"
)

// reload is a reload under way. Its file is read and compiled beside the goroutine that decides, which
// owns it and puts the result into service. At most one is under way: any number that are asked for
// meanwhile become one more, which reads the file after the last of them was asked for.
type reload struct {
	reloadOrder
	read    chan struct{} // closed when next and err are there
	next    *generation
	skipped error          // why next does not have the table of offer; nil: it has, or err says why there is no next
	access  *accesslog.Log // of next, if that writes another one; else nil
	err     error
	waiting []reloadReport // of those who have asked for it

	signal       bool           // SIGHUP has asked for it, or for the next one
	again        bool           // another one was asked for since
	fileAgain    bool           // which reads the file
	waitingAgain []reloadReport // of those who have asked for that

	preloadedAgain steering.Inheritance // of one of them
}

// reloadOrder is what to reload.
type reloadOrder struct {
	share float64       // percent of the clients that it is for; 0: all
	file  bool          // read the file again: an operator has asked for it; else its text stays that in service
	offer *follow.Offer // a table to put into service; nil: the one in service stays

	preloaded steering.Inheritance // what asks peers, for a process that cannot load it; whoever waits for the reload closes it
}

// reloadReport is called once with the outcome of a reload.
type reloadReport func(admin.Reloaded, error)

// done is closed when the file has been read; nil if no reload is under way.
func (r *reload) done() <-chan struct{} {
	if r == nil {
		return nil
	}
	return r.read
}

// reloadBySignal reports the outcome in the log only.
func (d *daemon) reloadBySignal() {
	d.askReload(nil, nil)
	d.reloading.signal = true
}

// askReload starts a reload, or one after that under way. In the end the file is in service, or nothing
// has changed; report, if it is not nil, is called then, and the log has the outcome.
func (d *daemon) askReload(report reloadReport, preloaded steering.Inheritance) {
	var waiting []reloadReport
	if report != nil {
		waiting = append(waiting, report)
	}
	if r := d.reloading; r != nil {
		r.again, r.fileAgain, r.waitingAgain = true, true, append(r.waitingAgain, waiting...)
		if len(preloaded) > 0 {
			r.preloadedAgain = preloaded
		}
		return
	}
	d.beginReload(reloadOrder{file: true, offer: d.fleet.wanted.Load(), preloaded: preloaded}, waiting)
}

// askTable starts a reload with the table that the source wants, or one after that under way. During a trial the
// table waits for its end.
func (d *daemon) askTable() {
	if err := d.checkNoTrial(); err != nil {
		d.log.Info("a table of the source waits for the end of the trial", "because", err)
		return
	}
	if r := d.reloading; r != nil {
		r.again = true
		return
	}
	d.beginReload(reloadOrder{offer: d.fleet.wanted.Load()}, nil)
}

// beginReload reads and compiles the file and the table on another goroutine; finishReload comes after it. A table
// that was refused is tried again with a new file.
func (d *daemon) beginReload(order reloadOrder, waiting []reloadReport) {
	if d.checkChangeable() == nil {
		d.checkNotified(d.opt.Manager.Reloading())
	}
	r := &reload{reloadOrder: order, read: make(chan struct{}), waiting: waiting}
	d.reloading = r
	go func() { // ends when the file is read and compiled and its names are resolved, or that took too long
		defer close(r.read)
		r.next, r.access, r.skipped, r.err = d.loadAll(r.reloadOrder)
	}()
}

// finishReload puts into service what was read, and begins the reload that was asked for meanwhile.
func (d *daemon) finishReload() {
	r := d.reloading
	d.reloading = nil
	reloaded, err := d.apply(r)
	if r.signal && err == nil {
		d.callAfterSignal(d.serving.Load().config)
	}
	for _, report := range r.waiting {
		report(reloaded, err)
	}
	switch {
	case r.again && r.fileAgain:
		d.beginReload(reloadOrder{file: true, offer: d.fleet.wanted.Load(), preloaded: r.preloadedAgain}, r.waitingAgain)
		d.reloading.signal = r.signal
	case r.again && d.fleet.wanted.Load() != nil:
		d.askTable()
	}
}

// callAfterSignal does for a reload by SIGHUP what the command `anyport reload` does itself.
func (d *daemon) callAfterSignal(c *config.Config) {
	if d.opt.AfterSignal == nil || !d.afterSignal.TryLock() {
		return
	}
	go func() { // ends with AfterSignal
		defer d.afterSignal.Unlock()
		d.opt.AfterSignal(c, d.log)
	}()
}

// cancelReload reports to everybody who waits for a reload that this process ends.
func (d *daemon) cancelReload() {
	if r := d.reloading; r != nil {
		for _, report := range append(r.waiting, r.waitingAgain...) {
			report(admin.Reloaded{}, errStopping)
		}
	}
}

// apply puts into service what was read, and logs what that has changed, or why it was refused.
func (d *daemon) apply(read *reload) (r admin.Reloaded, err error) {
	if err = read.err; err == nil {
		if r, err = d.use(read); err != nil {
			d.proxy.ForgetUnused()
		}
	}
	if read.access != nil { // nothing was written to it
		_ = read.access.Close()
	}
	if d.checkChangeable() == nil {
		d.checkNotified(d.opt.Manager.Ready(d.statusLine()))
	}
	d.opt.Guard.Tried(err)
	if !read.file {
		return r, d.tableTried(read.offer, r, err)
	}
	d.rememberReload(r, err)
	d.refused.Store(nil)
	if err != nil {
		why := err.Error()
		d.refused.Store(&why)
		for problem := range strings.Lines(why) {
			d.log.Error("reload refused: the old config serves on", "problem", strings.TrimSpace(problem))
		}
		return r, err
	}
	g := d.serving.Load()
	if r.Trial != "" { // which is logged where it begins
		return r, nil
	}
	d.tableServed(read.offer, g)
	if read.skipped != nil {
		d.refuseTable(read.offer, read.skipped)
	}
	d.log.Info("reloaded", "config", g.config.Path, "generation", g.number,
		"routes", len(g.config.Routes), "prefixes", g.table.Prefixes(),
		"added", r.Named(config.Added), "removed", r.Named(config.Removed), "changed", r.Named(config.Changed))
	d.warnShadowed(g)
	return r, nil
}

// use puts into service what was read, for all clients or for a share of them. It takes the access log, unless it
// fails.
func (d *daemon) use(read *reload) (r admin.Reloaded, err error) {
	old, t := d.serving.Load().config.Log, d.trial.Load()
	if read.share > 0 && t != nil {
		return d.changeShare(t, read.next, read.share) // t has its access log
	}
	if read.share > 0 {
		r, err = d.beginTrial(read.next, read.share, read.access)
	} else if r, err = d.replace(read.next, read.preloaded); err == nil {
		d.useAccess(old, read.next.config.Log, read.access)
	}
	if err == nil {
		read.access = nil
	}
	return r, err
}

// tableTried notes and logs what became of a table that the source wants.
func (d *daemon) tableTried(o *follow.Offer, r admin.Reloaded, err error) error {
	if o == nil { // it came into service meanwhile, with a new file
		return err
	}
	d.rememberReload(r, err)
	if err != nil {
		d.refuseTable(o, err)
		return err
	}
	g := d.serving.Load()
	d.tableServed(o, g)
	d.log.Info("table taken from the source", "table", g.source.Short(), "serial", o.Serial, "trial", o.Trial, "generation", g.number,
		"routes", len(g.config.Routes), "prefixes", g.table.Prefixes(),
		"added", r.Named(config.Added), "removed", r.Named(config.Removed), "changed", r.Named(config.Changed))
	d.warnShadowed(g)
	return nil
}

// reloadsKept bounds what status tells about past reloads.
const reloadsKept = 8

// rememberReload notes a reload that has ended, for status.
func (d *daemon) rememberReload(r admin.Reloaded, err error) {
	past := admin.PastReload{
		At: time.Now(), Generation: d.serving.Load().number,
		Added: len(r.Named(config.Added)), Removed: len(r.Named(config.Removed)), Changed: len(r.Named(config.Changed)),
	}
	if err != nil {
		past.Error = err.Error()
	}
	all := []admin.PastReload{past}
	if before := d.reloads.Load(); before != nil {
		all = append(all, *before...)
	}
	all = all[:min(len(all), reloadsKept)]
	d.reloads.Store(&all)
}

// dryRun reads the file again, and says what a reload would change. Only a reload itself finds out whether name
// servers answer and whether the kernel has room.
func (d *daemon) dryRun(preloaded steering.Inheritance) (admin.Reloaded, error) {
	next, _, err := d.load(reloadOrder{file: true, offer: d.fleet.wanted.Load()}, nil)
	if err != nil {
		return admin.Reloaded{DryRun: true}, err
	}
	if err := errors.Join(d.tryAccess(next.config.Log), d.checkPeers(next, preloaded)); err != nil {
		return admin.Reloaded{DryRun: true}, err
	}
	old := d.serving.Load()
	r := d.changes(old, next)
	r.DryRun, r.Generation = true, old.number
	return r, nil
}

// changes says what is different in next, and what that does to live conns.
func (d *daemon) changes(old, next *generation) admin.Reloaded {
	return describeChanges(old.config, next.config, countAffected(d.conns(""), next))
}

// replace puts next into service, or changes nothing.
func (d *daemon) replace(next *generation, preloaded steering.Inheritance) (admin.Reloaded, error) {
	if err := d.checkChangeable(); err != nil {
		return admin.Reloaded{}, err
	}
	r := d.changes(d.serving.Load(), next)
	if err := d.checkAnnounce(next.config); err != nil {
		return r, err
	}
	undoPeers, err := d.changePeers(next, preloaded)
	if err != nil {
		return r, err
	}
	// The proxy first: a conn that the kernel steers by the new table must find its route.
	trial := d.proxy.Try(next.table, next.config.Routes)
	if err := d.steering.Replace(next.config, next.table); err != nil {
		trial.Undo()
		undoPeers()
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
	d.level.Set(next.config.Log.Level)
}

// settleRoutes has the hours and drains of the routes in service applied, and all descriptors stored.
func (d *daemon) settleRoutes() {
	d.applyHours()
	if err := d.setDrains(*d.drains.Load()); err != nil {
		d.log.Error("cannot drain a route after the reload: it may take conns", "error", err)
	}
	d.storeFDs() // a socket may have come or gone
}
