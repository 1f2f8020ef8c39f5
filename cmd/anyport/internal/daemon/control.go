package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"anyport/cmd/anyport/internal/admin"
	"anyport/steering"
)

// control decides, on signals and what the admin socket is asked, until the traffic has ended.
// An upgrade, and the reading of a file, run beside it, so that a signal is acted on meanwhile; orders
// wait for the end of an upgrade.
func (d *daemon) control(ctx context.Context, drain func(), served <-chan error) error {
	defer close(d.decided)
	defer d.leaveReload()
	stop := ctx.Done()
	for {
		select {
		case err := <-served:
			d.cutUpgradeShort()
			d.log.Info("stopped")
			return err
		case <-stop:
			stop = nil
			d.end(syscall.SIGTERM, drain)
		case decision := <-d.orders():
			decision()
		case <-d.upgrading.done():
			d.upgraded(drain)
		case <-d.loaded():
			d.endReload()
		case sig := <-d.opt.Signals:
			if atOnce := d.signalled(sig, drain); atOnce {
				return nil
			}
		}
	}
}

// signalled acts on a signal, and reports whether the process is to end at once.
func (d *daemon) signalled(sig os.Signal, drain func()) (atOnce bool) {
	switch {
	case sig == syscall.SIGHUP && d.upgrading != nil:
		d.upgrading.reload = true
	case sig == syscall.SIGHUP:
		d.reloadBySignal()
	case sig == syscall.SIGUSR2 && d.upgrading != nil:
		d.log.Warn("an upgrade is under way already")
	case sig == syscall.SIGUSR2:
		go d.upgradeBySignal() // ends when the upgrade has begun, or this goroutine has ended
	case d.upgrading == nil && d.told, d.upgrading != nil && d.upgrading.stop != nil:
		d.cutUpgradeShort()
		// The process ends now, and the kernel closes what its loops hold.
		d.log.Warn("stopped at once by a second signal", "conns_cut", d.active())
		return true
	default:
		d.log.Info("told to stop", "signal", sig.String())
		d.end(sig, drain)
	}
	return false
}

// end stops the process, or first the upgrade that is under way.
func (d *daemon) end(sig os.Signal, drain func()) {
	if d.upgrading == nil {
		d.stop(drain)
		return
	}
	d.upgrading.stop = sig
	d.upgrading.cancel()
}

// orders is what the admin socket asks for, nil while that has to wait for an upgrade.
func (d *daemon) orders() <-chan func() {
	if d.upgrading != nil {
		return nil
	}
	return d.decisions
}

// loaded is closed when the file of a reload has been read, nil while what comes of it has to wait for
// an upgrade.
func (d *daemon) loaded() <-chan struct{} {
	if d.upgrading != nil {
		return nil
	}
	return d.reloading.done()
}

// takeover is an upgrade under way. It belongs to the goroutine that decides.
type takeover struct {
	cancel  func()        // ends the new process, unless that serves already
	abandon func()        // does not wait for conns to move, either
	over    chan struct{} // closed when it has come to an end

	reload bool      // SIGHUP came meanwhile
	stop   os.Signal // so did this one; nil: none
}

// done is closed after the upgrade; nil where none is under way.
func (u *takeover) done() <-chan struct{} {
	if u == nil {
		return nil
	}
	return u.over
}

// beginUpgrade begins to have another process serve, and has the outcome told, on another
// goroutine. See upgrade.
func (d *daemon) beginUpgrade(binary string, spare steering.Inheritance, tell func(admin.Upgraded, error)) error {
	if err := d.ending(); err != nil {
		return err
	}
	moving, abandon := context.WithCancel(context.Background())
	starting, cancel := context.WithCancel(moving)
	u := &takeover{cancel: cancel, abandon: abandon, over: make(chan struct{})}
	d.upgrading = u
	go func() { // ended by the new process, its silence, or abandon
		defer abandon()
		defer cancel()
		defer close(u.over)
		tell(d.upgrade(starting, moving, binary, spare))
	}()
	return nil
}

// upgraded does what has waited for an upgrade that is over: here, or if another process
// serves now, there.
func (d *daemon) upgraded(drain func()) {
	u := d.upgrading
	d.upgrading, d.told = nil, u.stop != nil
	switch next := int(d.successor.Load()); {
	case next == 0 && u.stop != nil:
		d.stop(drain)
	case next == 0 && u.reload:
		d.reloadBySignal()
	case next == 0:
		d.store() // what the service manager was not told of meanwhile
	default:
		u.reload = u.reload || d.reloading != nil && d.reloading.signal
		d.pass(u, next)
	}
}

// pass sends the signals on that came too late to be acted on here. A service manager
// tells all processes of the service to stop by itself, and twice would mean at once.
func (d *daemon) pass(u *takeover, next int) {
	var errs []error
	if u.reload {
		errs = append(errs, syscall.Kill(next, syscall.SIGHUP))
	}
	if sig, ok := u.stop.(syscall.Signal); ok && !d.opt.Manager.Listens() {
		errs = append(errs, syscall.Kill(next, sig))
	}
	if err := errors.Join(errs...); err != nil {
		d.log.Error("a signal for the process that serves now could not be sent on", "pid", next, "error", err)
	}
}

// cutUpgradeShort ends an upgrade that is under way, and waits for that.
func (d *daemon) cutUpgradeShort() {
	if d.upgrading == nil {
		return
	}
	d.upgrading.abandon()
	<-d.upgrading.over
	if next := int(d.successor.Load()); next != 0 {
		d.pass(d.upgrading, next)
	}
	d.upgrading = nil
}

// ending is why nothing can be changed any more, nil while it can.
func (d *daemon) ending() error {
	if next := d.successor.Load(); next != 0 {
		return fmt.Errorf("another process, pid %d, serves since an upgrade: ask again", next)
	}
	if d.stopping.Load() {
		return errStopping
	}
	return nil
}

var errStopping = errors.New("anyport is stopping: nothing is changed any more")

// decide runs what on the goroutine that decides. It returns when that has run, ctx is done or that
// goroutine has ended.
func (d *daemon) decide(ctx context.Context, what func() error) error {
	done := make(chan error, 1)
	select {
	case d.decisions <- func() { done <- what() }:
		return <-done
	case <-d.decided:
		return errStopping
	case <-ctx.Done():
		return ctx.Err()
	}
}
