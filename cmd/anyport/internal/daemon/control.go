package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"anyport/proxy/panics"
)

// control is the goroutine that decides, until the traffic has ended. An upgrade, and the reading of
// a file, run beside it, so that it acts on a signal meanwhile; orders wait for the end of an
// upgrade.
func (d *daemon) control(ctx context.Context, drain func(), served <-chan error) error {
	defer close(d.decided)
	defer d.cancelReload()
	defer panics.Rethrow()
	stop := ctx.Done()
	for {
		select {
		case err := <-served:
			d.abortUpgrade()
			d.log.Info("stopped")
			return errors.Join(err, d.confirm.outcome())
		case <-stop:
			stop = nil
			d.stopOrCancelUpgrade(syscall.SIGTERM, drain)
		case decision := <-d.orders():
			decision()
		case <-d.upgrading.done():
			d.finishUpgrade(drain)
		case <-d.fileRead():
			d.finishReload()
		case offer := <-d.tableOffers():
			d.takeOffer(offer)
		case <-d.tableRetry():
			d.retryTable()
		case <-d.hoursChange():
			d.applyHours()
		case <-d.healthChanged():
			d.applyHealth()
		case <-d.graceOver():
			d.refuseDrained()
		case <-d.confirm.due():
			d.giveBack(drain)
		case sig := <-d.opt.Signals:
			if atOnce := d.signalled(sig, drain); atOnce {
				return d.confirm.outcome()
			}
		}
	}
}

// signalled acts on a signal, and reports whether the process has to end at once.
func (d *daemon) signalled(sig os.Signal, drain func()) (atOnce bool) {
	switch {
	case sig == syscall.SIGHUP && d.upgrading != nil:
		d.upgrading.reload = true
	case sig == syscall.SIGHUP:
		d.reloadBySignal()
	case sig == syscall.SIGUSR2 && d.upgrading != nil:
		d.log.Warn("an upgrade is under way already")
	case sig == syscall.SIGUSR2:
		go d.upgradeBySignal() // ends when the upgrade has begun, or control has ended
	case d.askedBefore() && d.isFinalTerm(sig):
		d.log.Info("told to stop again by the service manager: live conns may still end", "conns", d.active())
	case d.askedBefore():
		d.abortUpgrade()
		// The process ends now, and the kernel closes what its loops hold.
		d.log.Warn("stopped at once by a second signal", "conns_cut", d.active())
		return true
	default:
		d.log.Info("told to stop", "signal", sig.String())
		d.stopOrCancelUpgrade(sig, drain)
	}
	return false
}

// askedBefore reports whether a signal to stop has come already.
func (d *daemon) askedBefore() bool {
	if d.upgrading != nil {
		return d.upgrading.stop != nil
	}
	return d.stopAsked
}

// isFinalTerm reports whether a signal may be the second SIGTERM that systemd sends to everything that is
// left of a service whose main process has ended (systemd.kill(5)). For a process that another one has
// replaced that is not an order to cut its conns: SIGKILL follows after TimeoutStopSec=.
func (d *daemon) isFinalTerm(sig os.Signal) bool {
	return sig == syscall.SIGTERM && d.replaced.Load() && d.opt.Manager.Listens()
}

// stopOrCancelUpgrade stops the process; if an upgrade is under way, it cancels that first, and finishUpgrade
// stops the process or passes the signal on: only the outcome of the upgrade decides which. A trial of another process
// is ended first: the conns of both end here.
func (d *daemon) stopOrCancelUpgrade(sig os.Signal, drain func()) {
	if d.upgrading == nil && !d.stopping.Load() && d.processTrial.Load() != nil {
		d.endProcessTrial()
	}
	if d.upgrading == nil {
		d.stop(drain)
		return
	}
	d.upgrading.stop = sig
	d.upgrading.cancel()
}

// orders are what the admin API asks for; nil during an upgrade, so that they wait for its end.
func (d *daemon) orders() <-chan func() {
	if d.upgrading != nil {
		return nil
	}
	return d.decisions
}

// fileRead is closed when the file of a reload has been read; nil during an upgrade, so that the
// table waits for its end.
func (d *daemon) fileRead() <-chan struct{} {
	if d.upgrading != nil {
		return nil
	}
	return d.reloading.done()
}

// decide runs what on the goroutine that decides. It returns when that has run, when ctx is done
// before it could begin, or when that goroutine has ended.
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

// checkServes says why the live conns may be another process's; nil if they are not. A process that is stopping
// still has its own.
func (d *daemon) checkServes() error {
	if next := d.successor.Load(); next != 0 {
		return fmt.Errorf("another process, pid %d, serves since an upgrade: ask again", next)
	}
	return nil
}

// checkChangeable says why nothing can be changed any more; nil while it can.
func (d *daemon) checkChangeable() error {
	if err := d.checkServes(); err != nil {
		return err
	}
	if d.stopping.Load() {
		return errStopping
	}
	return nil
}

// errStopping is the answer to every order from the first signal to stop on.
var errStopping = errors.New("anyport is stopping: nothing is changed any more")
