package daemon

import "time"

// drainGrace is how long a route that drains goes on taking new conns where its prefixes are announced: their
// metric rises at once, and the routers that still send new conns here need the time to learn of it. BIRD tells them
// within milliseconds, and the script for FRR within a second.
const drainGrace = 5 * time.Second

// refusingFrom returns d, which follows before, with the time from which the routes that now drain refuse. A route
// that drained already keeps its time.
func (d drains) refusingFrom(from time.Time, before drains, serving map[string]bool) drains {
	d.from = map[string]time.Time{}
	for route := range serving {
		switch {
		case !d.has(route):
		case before.has(route):
			d.from[route] = before.from[route]
		default:
			d.from[route] = from
		}
	}
	return d
}

// refuses reports whether a route refuses new conns: it is to be drained, and its grace is over.
func (d drains) refuses(route string, now time.Time) bool {
	return d.has(route) && !now.Before(d.from[route])
}

// nextRefusal is how long it is until one more route refuses.
func (d drains) nextRefusal(now time.Time) (wait time.Duration, waits bool) {
	for route := range d.from {
		if left := d.from[route].Sub(now); left > 0 && (!waits || left < wait) {
			wait, waits = left, true
		}
	}
	return wait, waits
}

// grace is how long routes that drain go on taking new conns, for the process of an upgrade.
func (d drains) grace(now time.Time) map[string]time.Duration {
	left := map[string]time.Duration{}
	for route, from := range d.from {
		if d.has(route) && from.After(now) {
			left[route] = from.Sub(now)
		}
	}
	return left
}

// inGrace is the opposite of grace. The time comes from another version: no grace is longer than a whole one.
func (d drains) inGrace(left map[string]time.Duration, now time.Time) drains {
	d.from = map[string]time.Time{}
	for route, wait := range left {
		d.from[route] = now.Add(min(wait, drainGrace))
	}
	return d
}

// graceOver receives when a route that drains has to refuse from now on; nil during an upgrade, so that it waits for
// the end of that.
func (d *daemon) graceOver() <-chan time.Time {
	if d.upgrading != nil {
		return nil
	}
	return d.refusalDue
}

// refuseDrained has the routes refuse whose grace is over.
func (d *daemon) refuseDrained() {
	d.refusalDue = nil
	if d.checkChangeable() != nil {
		return
	}
	if err := d.setDrains(*d.drains.Load()); err != nil {
		d.log.Error("cannot refuse new conns of a route that drains: repeat the order", "error", err)
	}
}
