package route

import "anyport/config"

// SetInactive says whether the route of that name is out of force, across reloads: then it takes no new
// conns and flows. The kernel refuses new conns already; see Drain. It reports whether that has changed.
func (l *Live) SetInactive(name string, on bool) (changed bool) {
	r := l.Set().Named(name)
	return r != nil && r.Stats.inactive.Swap(on) != on
}

// HoursOver has the loops look for conns and flows of routes that are out of force, which on_inactive =
// "close" ends.
func (l *Live) HoursOver() {
	l.overs.Add(1)
	l.notify()
}

// Overs counts the calls of HoursOver.
func (l *Live) Overs() uint64 { return l.overs.Load() }

// EndsAll reports whether live conns and flows of r end now, because its time is over.
func (r *Route) EndsAll() bool { return r.OnInactive == config.CloseConns && r.Stats.inactive.Load() }
