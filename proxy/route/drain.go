package route

// Drain stops the route of that name from taking new conns and flows, or ends that, across reloads.
// The kernel refuses new conns already; this is for conns that race with it, and for flows, where
// the kernel does not know which datagram is the first.
func (l *Live) Drain(name string, on bool) {
	if r := l.Set().Named(name); r != nil {
		r.Stats.draining.Store(on)
	}
}
