package daemon

import (
	"maps"
	"time"
)

// noteHealth wakes the goroutine that decides. It is called by any goroutine of the proxy, which must
// not wait: a note that is not read yet stands for this one, too.
func (d *daemon) noteHealth() {
	d.noteAnnounce()
	select {
	case d.healthNews <- struct{}{}:
	default:
	}
}

// healthChanged receives when origins went down or came back; nil during an upgrade, so that the
// kernel's flags wait for its end.
func (d *daemon) healthChanged() <-chan struct{} {
	if d.upgrading != nil {
		return nil
	}
	return d.healthNews
}

// applyHealth has the kernel refuse the new conns of the routes that have no origin up and
// on_all_down = "refuse", and take those of the others. Until it has, and if it cannot, the proxy
// refuses them after they were accepted.
func (d *daemon) applyHealth() {
	if d.checkChangeable() != nil {
		return
	}
	down := d.proxy.AllDown()
	if maps.Equal(down, d.allDown) {
		return
	}
	drains, now, failed := d.drains.Load(), time.Now(), false
	for route := range d.routeNames() {
		if down[route] == d.allDown[route] {
			continue
		}
		if err := d.steering.RefuseConns(route, drains.refuses(route, now), down[route]); err != nil {
			d.log.Error("cannot change in the kernel whether a route refuses new conns", "route", route, "error", err)
			failed = true
			continue
		}
		d.logAllDown(route, down[route])
	}
	if !failed { // else the next change tries again
		d.allDown = down
	}
}

// logAllDown logs that a route has lost its last origin, or has one again.
func (d *daemon) logAllDown(route string, down bool) {
	if down {
		d.log.Error("no origin of the route is up: its new conns are refused in the kernel", "route", route)
	} else {
		d.log.Info("an origin of the route is up again: its new conns are taken", "route", route)
	}
}
