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

// askLoops is the time between two questions to the loops if no watchdog asks for less.
const askLoops = 5 * time.Second

// reportAlive tells the service manager that this process is alive while all its loops turn and no other
// process is the service. Without a watchdog it only asks the loops, for the log and /metrics. It returns
// when ctx ends.
func (d *daemon) reportAlive(ctx context.Context) {
	interval := askLoops
	if d.opt.Watchdog > 0 {
		interval = max(d.opt.Watchdog/alivePerTimeout, time.Millisecond)
	}
	feed := func() {
		if !d.replaced.Load() { // a new process that ends at once gives the service back
			d.feedWatchdog()
		}
	}
	if !d.replaced.Load() {
		d.proxy.Stuck() // asks them for the first time: a loop that has just started has answered nothing yet
	}
	every(ctx, interval, feed)
}

// feedWatchdog sends one message, if all loops turn. It asks each loop by its mailbox, so a loop that hangs in a
// system call or spins is found, not only one that has ended.
func (d *daemon) feedWatchdog() {
	stuck := d.proxy.Stuck()
	if d.handing.Load() { // the loops may stand still for upgrade.Timeout
		stuck = 0
	}
	d.stuck.Store(int64(stuck))
	if stuck == 0 {
		d.standing.Store(0)
	} else {
		d.standing.CompareAndSwap(0, time.Now().UnixNano())
	}
	switch {
	case stuck > 0:
		d.log.Error("event loops do not turn: the watchdog is not fed", "loops", stuck)
	case d.opt.Watchdog > 0:
		d.checkNotified(d.opt.Manager.Alive())
	}
}
