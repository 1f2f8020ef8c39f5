package daemon

import (
	"context"
	"time"
)

// settleInterval is how often those conns are looked for that keep a prefix local.
const settleInterval = time.Second

// settle gives up the prefixes that a reload has dropped, once the last conn there has
// ended, and not only when all its time is over. It returns when ctx ends.
func (d *daemon) settle(ctx context.Context) {
	ticker := time.NewTicker(settleInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if d.steering.Lingers() {
			// Where it fails, the steering tries again when the time is over.
			_ = d.decide(ctx, d.settleOnce) // no reload comes between
		}
	}
}

func (d *daemon) settleOnce() error {
	table := d.serving.Load().table
	for c := range d.conns("") {
		if !forwards(table, c) {
			return nil
		}
	}
	if err := d.steering.Settle(); err != nil {
		d.log.Warn("the prefixes that a reload dropped are still local", "error", err)
		return err
	}
	d.log.Info("the last conn has ended on the prefixes that a reload dropped: they are not local any more")
	return nil
}
