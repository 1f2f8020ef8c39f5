package daemon

import (
	"context"
	"sync"
	"time"
)

// alivePerTimeout is how many messages are sent in the time after which the service manager kills this
// process. A loop that stands still for half of it still turns again in time.
const alivePerTimeout = 4

// startWatchdog makes a goroutine tell the service manager that this process is alive, until stop has
// returned.
func (d *daemon) startWatchdog() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { d.reportAlive(ctx) }) // ended by stop
	return func() {
		cancel()
		running.Wait()
	}
}

// reportAlive tells the service manager that this process is alive while all its loops turn and no other
// process is the service. It returns when ctx ends.
func (d *daemon) reportAlive(ctx context.Context) {
	if d.opt.Watchdog <= 0 {
		return
	}
	feed := func() {
		if !d.replaced.Load() { // a new process that ends at once gives the service back
			d.feedWatchdog()
		}
	}
	feed()
	every(ctx, max(d.opt.Watchdog/alivePerTimeout, time.Millisecond), feed)
}

// feedWatchdog sends one message, if all loops turn. It asks each loop by its mailbox, so a loop that hangs in a
// system call or spins is found, not only one that has ended.
func (d *daemon) feedWatchdog() {
	switch stuck := d.proxy.Stuck(); {
	case stuck == 0, d.handing.Load(): // the loops may stand still for upgrade.Timeout
		d.checkNotified(d.opt.Manager.Alive())
	default:
		d.log.Error("event loops do not turn: the watchdog is not fed", "loops", stuck)
	}
}
