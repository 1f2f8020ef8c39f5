package daemon

import (
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/alarm"
)

// openHours puts the hours of the routes into service, and makes the alarm for their next change.
func (d *daemon) openHours() error {
	var err error
	if d.alarm, err = alarm.New(); err != nil {
		return err
	}
	d.closers = append(d.closers, d.alarm.Close)
	d.applyHours()
	return nil
}

// applyHours brings the hours of all routes into line with the clock, and sets the alarm for the next
// change. The proxy comes first: it refuses a conn that the kernel has just let through, and has to
// take the first one that the kernel lets through again. After an upgrade, and in a process on trial, only the
// proxy is told: the other process tells the kernel.
func (d *daemon) applyHours() {
	now, states := time.Now(), map[string]admin.HoursStatus{}
	var first time.Time // zero: nothing changes any more
	for _, r := range d.routesInService() {
		active := r.Active.Contains(now)
		if d.proxy.SetInactive(r.Name, !active) {
			d.logHours(r.Name, active)
		}
		if len(r.Active) == 0 {
			continue
		}
		state := admin.HoursStatus{Active: active}
		if next, changes := r.Active.Next(now); changes {
			state.NextChange = &next
			if first.IsZero() || next.Before(first) {
				first = next
			}
		}
		states[r.Name] = state
	}
	d.hours.Store(&states)
	d.noteAnnounce()
	if d.checkChangeable() == nil && d.trying == nil {
		if err := d.steering.ApplyHours(time.Now); err != nil {
			d.log.Error("cannot tell the kernel the hours of the routes: what is not in force yet stays so", "error", err)
		}
	}
	if err := d.alarm.Set(first); err != nil {
		d.log.Error("cannot follow the hours of the routes", "error", err)
	}
}

// hoursChange receives when the hours of a route begin or end, or the clock was set; nil during an upgrade, so
// that the kernel is told after its end.
func (d *daemon) hoursChange() <-chan struct{} {
	if d.upgrading != nil {
		return nil
	}
	return d.alarm.Rang()
}

// withHours adds how the hours of the routes stand.
func (d *daemon) withHours(routes []admin.RouteStatus) []admin.RouteStatus {
	for i := range routes {
		if state, ok := (*d.hours.Load())[routes[i].Name]; ok {
			routes[i].Hours = &state
		}
	}
	return routes
}

// logHours logs that the hours of a route have begun or ended.
func (d *daemon) logHours(route string, active bool) {
	if active {
		d.log.Info("a route is in force now", "route", route)
	} else {
		d.log.Info("a route is not in force any more", "route", route)
	}
}
