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

// tend tells the service manager that this process is alive, as long as all its loops turn. It
// returns when ctx ends, or another process is the service.
func (d *daemon) tend(ctx context.Context) {
	if d.opt.Watchdog <= 0 {
		return
	}
	ticker := time.NewTicker(max(d.opt.Watchdog/looksPerWatchdog, time.Millisecond))
	defer ticker.Stop()
	for !d.replaced.Load() {
		switch stuck := d.proxy.Stuck(); {
		case stuck == 0, d.handing.Load(): // for upgrade.Timeout at most
			d.tell(d.opt.Manager.Alive())
		default:
			d.log.Error("event loops do not turn: the service manager is not told that this process is alive", "loops", stuck)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
