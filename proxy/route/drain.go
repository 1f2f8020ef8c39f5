package route

// Drain has the route of that name take no new conns and flows from now on, or again,
// across reloads. The kernel refuses conns already; this is for those that race it,
// and for flows, which the kernel does not tell from one another.
func (l *Live) Drain(name string, on bool) {
	if r := l.Set().Named(name); r != nil {
		r.Stats.draining.Store(on)
	}
}
