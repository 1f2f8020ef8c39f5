package daemon

import (
	"context"
	"time"
)

// droppedInterval is the time between two looks for conns that keep a dropped prefix local.
const droppedInterval = time.Second

// releaseDropped releases the prefixes that a reload has dropped when the last conn on them has ended,
// rather than when the drain timeout is over. It returns when ctx ends.
func (d *daemon) releaseDropped(ctx context.Context) {
	every(ctx, droppedInterval, func() {
		if d.steering.HasRetired() {
			// If it fails, the steering tries again when the drain timeout is over.
			_ = d.decide(ctx, d.releaseIfUnused) // no reload comes between
		}
	})
}

// releaseIfUnused releases the dropped prefixes if no conn is left on them.
func (d *daemon) releaseIfUnused() error {
	table := d.serving.Load().table
	for c := range d.conns("") {
		if !forwards(table, c) {
			return nil
		}
	}
	if err := d.steering.DropRetired(); err != nil {
		d.log.Warn("the prefixes that a reload dropped are still local", "error", err)
		return err
	}
	d.log.Info("the last conn has ended on the prefixes that a reload dropped: they are not local any more")
	return nil
}
