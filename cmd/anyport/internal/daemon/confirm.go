package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
)

// ErrNotConfirmed is the outcome of a run with --confirm that nobody has confirmed in time.
var ErrNotConfirmed = errors.New("not confirmed in time: the prefixes were given back, and nothing is served any more; start anyport again, and type anyport confirm before the time is over")

// confirmation is the order to give everything back at a time. It belongs to the goroutine that decides;
// only status reads deadline too.
type confirmation struct {
	deadline atomic.Pointer[time.Time] // nil: there is none, or it was confirmed
	timer    *time.Timer               // nil: likewise
	missed   bool                      // everything was given back
}

// unpinned is c for a process that may have to give everything back. What is pinned, or kept by the service
// manager, would go on steering if the process died before the deadline: instead the kernel gives the
// prefixes back with the process. So it stays after the confirmation, up to the next start.
func (o Options) unpinned(c *config.Config) *config.Config {
	if o.Confirm <= 0 {
		return c
	}
	other := *c
	other.Steering.Pin = ""
	return &other
}

// awaitConfirmation begins the wait for `anyport confirm`. A process that goes on with the steering of
// another one does not wait: that one was confirmed, since it has handed nothing over before.
func (d *daemon) awaitConfirmation() {
	if d.opt.Confirm <= 0 || d.inherited {
		return
	}
	deadline := time.Now().Add(d.opt.Confirm)
	d.confirm.deadline.Store(&deadline)
	d.confirm.timer = time.NewTimer(d.opt.Confirm)
	d.log.Warn("waiting for anyport confirm: without it all prefixes are given back", "within", d.opt.Confirm)
}

// due receives once the time is over; nil if nothing is to be confirmed.
func (c *confirmation) due() <-chan time.Time {
	if c.timer == nil {
		return nil
	}
	return c.timer.C
}

// waiting reports whether somebody still has to confirm.
func (c *confirmation) waiting() bool { return c.timer != nil }

// keep is the order to confirm.
func (d *daemon) keep() (admin.Confirmed, error) {
	if d.confirm.missed {
		return admin.Confirmed{}, ErrNotConfirmed
	}
	if err := d.checkChangeable(); err != nil {
		return admin.Confirmed{}, err
	}
	if !d.confirm.waiting() {
		return admin.Confirmed{}, errors.New("nothing to confirm: this anyport was started without --confirm, or is confirmed already")
	}
	left := time.Until(*d.confirm.deadline.Load())
	d.endWait()
	d.storeFDs()
	d.log.Info("confirmed", "seconds_left", left.Seconds())
	return admin.Confirmed{Path: d.serving.Load().config.Path, SecondsLeft: left.Seconds()}, nil
}

func (d *daemon) endWait() {
	d.confirm.timer.Stop()
	d.confirm.timer = nil
	d.confirm.deadline.Store(nil)
}

// giveBack ends the steering and removes the local routes, and then stops like a signal. Packets of live
// conns reach them as long as something else keeps the dst local, such as the TPROXY rules of the proxy
// before: each has its drain_timeout for that.
func (d *daemon) giveBack(drain func()) {
	d.endWait()
	d.confirm.missed = true
	d.log.Error("not confirmed in time: giving the prefixes back", "conns", d.active())
	d.announce.Withdraw()
	d.unwatch() // it would put back what is removed
	if err := d.steering.GiveBack(); err != nil {
		d.log.Error("cannot give back everything: type anyport unload when this process has ended", "error", err)
	}
	d.stop(drain)
}

// outcome is what Run returns after an orderly end.
func (c *confirmation) outcome() error {
	if c.missed {
		return ErrNotConfirmed
	}
	return nil
}

// checkConfirmed refuses what would outlive the deadline.
func (d *daemon) checkConfirmed() error {
	if d.confirm.waiting() {
		return fmt.Errorf("this anyport waits for anyport confirm, until %s: confirm first", d.confirm.deadline.Load().Format(time.TimeOnly))
	}
	return nil
}

// confirmStatus is nil if nothing is to be confirmed.
func (d *daemon) confirmStatus() *admin.ConfirmStatus {
	deadline := d.confirm.deadline.Load()
	if deadline == nil {
		return nil
	}
	return &admin.ConfirmStatus{Deadline: *deadline, SecondsLeft: time.Until(*deadline).Seconds()}
}

// Confirm keeps what a run with --confirm would give back.
func (s service) Confirm(ctx context.Context) (c admin.Confirmed, err error) {
	err = s.d.decide(ctx, func() (err error) {
		c, err = s.d.keep()
		return err
	})
	return c, err
}
