package daemon

import (
	"errors"

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
	if d.checkChangeable() != nil {
		return // another process follows the source, or this one ends
	}
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
	if d.isOutdated(r.offer) {
		d.readAgain(r)
		return
	}
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

// isOutdated reports whether the source wants another table by now than that of an offer: a push may go back while a
// host still reads. nil is never outdated.
func (d *daemon) isOutdated(o *follow.Offer) bool {
	wanted := d.fleet.wanted.Load()
	return o != nil && (wanted == nil || wanted.Table != o.Table) && d.checkChangeable() == nil
}

// errOutdated is why a table that was read does not come into service.
var errOutdated = errors.New("the source wants another table by now")

// readAgain gives up what was read with a table that is outdated, and reads what is wanted now.
func (d *daemon) readAgain(r *reload) {
	d.log.Info("a table does not come into service", "table", r.offer.Table.Short(), "because", errOutdated)
	if r.access != nil { // nothing was written to it
		_ = r.access.Close()
	}
	d.proxy.ForgetUnused()
	d.opt.Guard.Tried(errOutdated)
	switch wanted := d.fleet.wanted.Load(); {
	case r.file || r.fileAgain:
		preloaded := r.preloaded
		if len(r.preloadedAgain) > 0 {
			preloaded = r.preloadedAgain
		}
		d.beginReload(reloadOrder{file: true, offer: wanted, preloaded: preloaded}, append(r.waiting, r.waitingAgain...))
		d.reloading.signal = r.signal
	case wanted != nil:
		d.askTable()
	default:
		d.checkNotified(d.opt.Manager.Ready(d.statusLine()))
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
