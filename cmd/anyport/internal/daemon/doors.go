package daemon

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"anyport/cmd/anyport/internal/knock"
	"anyport/config"
)

// watchDoors counts and logs the doors that the kernel opens after a sequence of ports, until ctx ends. It
// needs a thread that waits for the kernel, so it begins with the first file that has a sequence.
func (d *daemon) watchDoors(ctx context.Context) {
	for !hasSequence(d.serving.Load().config) {
		select {
		case <-ctx.Done():
			return
		case <-d.doorbell.loaded:
		}
	}
	var lines lineBudget
	err := d.steering.WatchDoors(ctx, func(route string, client netip.Addr) {
		d.doorbell.counts[knock.OpenedByPorts].Add(1)
		if omitted, ok := lines.take(time.Now()); ok {
			d.log.Info("opened a door", "route", route, "client", client, "by", "ports", "lines_omitted", omitted)
		}
	})
	if err != nil {
		d.log.Warn("doors that sequences open are neither logged nor counted", "error", err)
	}
}

// noteLoaded has watchDoors look at the file in service.
func (d *daemon) noteLoaded() {
	select {
	case d.doorbell.loaded <- struct{}{}:
	default: // it has yet to look
	}
}

func hasSequence(c *config.Config) bool {
	return slices.ContainsFunc(c.Routes, func(r *config.Route) bool { return len(r.Knock.Ports()) > 0 })
}

// mostDoorLines is how many doors are logged in a second: who knows a sequence and can forge addresses could
// fill the log.
const mostDoorLines = 10

// lineBudget allows mostDoorLines in each second. It belongs to one goroutine.
type lineBudget struct {
	until         time.Time // the end of the second
	used, omitted int       // lines in it, and left out since the last one
}

// take reports whether a line may be written at now, and how many were left out before it.
func (b *lineBudget) take(now time.Time) (omitted int, ok bool) {
	if now.After(b.until) {
		b.until, b.used = now.Add(time.Second), 0
	}
	if b.used == mostDoorLines {
		b.omitted++
		return 0, false
	}
	b.used++
	omitted, b.omitted = b.omitted, 0
	return omitted, true
}
