package daemon

import (
	"context"
	"sync"
	"time"
)

// looksPerWatchdog: a loop that stands still for half of the time that the service manager gives
// is seen in good time to turn again.
const looksPerWatchdog = 4

// tended has the service manager told that this process is alive, until stop has returned.
func (d *daemon) tended() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var tending sync.WaitGroup
	tending.Go(func() { d.tend(ctx) }) // ended by stop
	return func() {
		cancel()
		tending.Wait()
	}
}

// tend tells the service manager that this process is alive, as long as all its loops turn and no other
// process is the service. It returns when ctx ends.
func (d *daemon) tend(ctx context.Context) {
	if d.opt.Watchdog <= 0 {
		return
	}
	ticker := time.NewTicker(max(d.opt.Watchdog/looksPerWatchdog, time.Millisecond))
	defer ticker.Stop()
	for {
		if !d.replaced.Load() { // which may not be for good
			d.tellAlive()
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (d *daemon) tellAlive() {
	switch stuck := d.proxy.Stuck(); {
	case stuck == 0, d.handing.Load(): // for upgradePatience at most
		d.tell(d.opt.Manager.Alive())
	default:
		d.log.Error("event loops do not turn: the service manager is not told that this process is alive", "loops", stuck)
	}
}
