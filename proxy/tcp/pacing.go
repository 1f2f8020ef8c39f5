package tcp

import (
	"anyport/config"
	"anyport/proxy/route"
)

// bandwidth is a limit of the conn's sockets, not of the loop: the kernel sends no faster than
// SO_MAX_PACING_RATE says, by a timer of its own, and a socket whose send buffer is full is not
// writable. So a conn over its bandwidth is a conn with a slow reader, and costs the loop nothing.

// limitPacing limits both sockets of a conn: each of them sends one direction.
func (l *loop) limitPacing(c *conn, rate config.Rate) {
	for _, e := range c.ends {
		if e.fd >= 0 {
			l.sockets.LimitPacing(e.fd, rate)
		}
	}
}

// bandwidthOf is the bandwidth that the conn's sockets have: that of its route as it is in service, or,
// without one of that name, as it was.
func (l *loop) bandwidthOf(c *conn) config.Rate {
	if r := l.set.Named(c.route.Name); r != nil {
		return r.Bandwidth
	}
	return c.route.Bandwidth
}

// changeBandwidths gives live conns the bandwidth that a reload has changed.
func (l *loop) changeBandwidths(before, now *route.Set) {
	changed := map[string]config.Rate{}
	for _, r := range now.Routes {
		if old := before.Named(r.Name); old == nil || old.Bandwidth != r.Bandwidth { // nil: conns may be left of a route that is back
			changed[r.Name] = r.Bandwidth
		}
	}
	if len(changed) == 0 {
		return
	}
	for _, c := range l.slots {
		if c == nil {
			continue
		}
		if rate, ok := changed[c.route.Name]; ok {
			l.limitPacing(c, rate)
		}
	}
}
