package daemon

import (
	"context"
	"errors"
	"os"
	"syscall"

	"anyport/cmd/anyport/internal/admin"
	"anyport/steering"
)

// upgradeRun is an upgrade under way. It belongs to the goroutine that decides.
type upgradeRun struct {
	cancel  func()        // kills the new process, unless that serves already
	abandon func()        // does not wait for conns to move, either
	over    chan struct{} // closed when it has ended

	// What came meanwhile. finishUpgrade acts on it, in this process or in the new one.
	reload bool      // SIGHUP
	stop   os.Signal // an order to stop; nil: none
}

// done is closed after the upgrade; nil if none is under way.
func (u *upgradeRun) done() <-chan struct{} {
	if u == nil {
		return nil
	}
	return u.over
}

// run is what an upgradeRun does. The end of starting, and of moving, is as in daemon.upgrade.
type run func(starting, moving context.Context) (admin.Upgraded, error)

// beginUpgrade starts the upgrade on another goroutine, which calls report with the outcome.
func (d *daemon) beginUpgrade(binary string, spare steering.Inheritance, report func(admin.Upgraded, error)) error {
	return d.beginRun(func(starting, moving context.Context) (admin.Upgraded, error) {
		return d.upgrade(starting, moving, binary, spare)
	}, report)
}

// beginRun is startRun where that may begin now.
func (d *daemon) beginRun(what run, report func(admin.Upgraded, error)) error {
	if err := errors.Join(d.checkChangeable(), d.checkConfirmed(), d.checkNoTrial()); err != nil {
		return err
	}
	d.startRun(what, report)
	return nil
}

// startRun does what on another goroutine, which calls report with the outcome. Orders wait for its end.
func (d *daemon) startRun(what run, report func(admin.Upgraded, error)) {
	moving, abandon := context.WithCancel(context.Background())
	starting, cancel := context.WithCancel(moving)
	u := &upgradeRun{cancel: cancel, abandon: abandon, over: make(chan struct{})}
	d.upgrading = u
	go func() { // ended by the new process, its silence, or abandon
		defer abandon()
		defer cancel()
		defer close(u.over)
		report(what(starting, moving))
	}()
}

// finishUpgrade does what has waited for the upgrade: in this process, or if another one serves now,
// there.
func (d *daemon) finishUpgrade(drain func()) {
	u := d.upgrading
	d.upgrading, d.stopAsked = nil, u.stop != nil
	switch next := int(d.successor.Load()); {
	case next == 0 && u.stop != nil:
		d.stopOrCancelUpgrade(u.stop, drain)
	case next == 0 && u.reload:
		d.reloadBySignal()
	case next == 0:
		d.storeFDs() // it was not notified of what has changed meanwhile
	default:
		u.reload = u.reload || d.reloading != nil && d.reloading.signal
		d.forwardSignals(u, next)
	}
}

// forwardSignals sends on what came too late to be acted on here. A service manager sends SIGTERM to
// every process of the service, and a second one would mean at once: so that is not sent on.
func (d *daemon) forwardSignals(u *upgradeRun, next int) {
	var errs []error
	if u.reload {
		errs = append(errs, syscall.Kill(next, syscall.SIGHUP))
	}
	if sig, ok := u.stop.(syscall.Signal); ok && !d.opt.Manager.Listens() {
		errs = append(errs, syscall.Kill(next, sig))
	}
	if err := errors.Join(errs...); err != nil {
		d.log.Error("cannot forward a signal to the process that serves now", "pid", next, "error", err)
	}
}

// abortUpgrade ends an upgrade that is under way, and waits for its end. Conns that have not moved by then end
// with this process.
func (d *daemon) abortUpgrade() {
	if d.upgrading == nil {
		return
	}
	d.upgrading.abandon()
	<-d.upgrading.over
	if next := int(d.successor.Load()); next != 0 {
		d.forwardSignals(d.upgrading, next)
	}
	d.upgrading = nil
}
