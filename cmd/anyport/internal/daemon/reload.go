package daemon

import (
	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/fleet/follow"
	"anyport/config"
	"anyport/proxy/accesslog"
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
}

// reloadOrder is what to reload.
type reloadOrder struct {
	share float64       // percent of the clients that it is for; 0: all
	file  bool          // read the file again: an operator has asked for it; else its text stays that in service
	offer *follow.Offer // a table to put into service; nil: the one in service stays
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
	d.askReload(nil)
	d.reloading.signal = true
}

// askReload starts a reload, or one after that under way. In the end the file is in service, or nothing
// has changed; report, if it is not nil, is called then, and the log has the outcome.
func (d *daemon) askReload(report reloadReport) {
	var waiting []reloadReport
	if report != nil {
		waiting = append(waiting, report)
	}
	if r := d.reloading; r != nil {
		r.again, r.fileAgain, r.waitingAgain = true, true, append(r.waitingAgain, waiting...)
		return
	}
	d.beginReload(reloadOrder{file: true, offer: d.fleet.wanted.Load()}, waiting)
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
		d.beginReload(reloadOrder{file: true, offer: d.fleet.wanted.Load()}, r.waitingAgain)
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
