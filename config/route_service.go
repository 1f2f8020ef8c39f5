package config

// Forwards reports whether anyport forwards conns and flows of r to origins: always, or while the
// service that r leads to has no such socket.
func (r *Route) Forwards() bool {
	return r.Action == Forward || r.Action == Socket && len(r.Origins) > 0
}

// checkService checks the keys of action = "socket" against each other.
func checkService(t *table, r *Route) {
	for key, given := range map[string]bool{"service": r.Service != "", "listener": r.Listener.IsValid()} {
		if r.Action != Socket && given {
			t.fault(key, `is not used with action = %q: remove it, or write action = "socket"`, r.Action)
		}
	}
	if r.Action != Socket {
		return
	}
	if r.Service == "" {
		t.require("service", `action = "socket" needs one: write service = "unbound.service", a cgroup such as "/system.slice/x.service", "pid:1234" or "pidfile:/run/x.pid"`)
	}
	if t.valid("ports", "except_ports", "protocol", "listener") && r.Takes(UDP) {
		checkServicePort(t, r)
	}
	if t.valid("prefixes", "listener") && r.Listener.IsValid() && r.Listener.Addr().Is4() {
		checkServiceFamily(t, r)
	}
}

// checkServicePort: a service answers a datagram from its socket, whose port cannot differ from
// answer to answer: IP_PKTINFO chooses the address only.
func checkServicePort(t *table, r *Route) {
	const why = `over udp the service answers from the port that its socket is bound to, and clients discard an answer from another port than they asked: `
	switch {
	case len(r.Ports) != 1 || r.Ports[0].Width() != 1:
		t.fault("ports", why+`write only that port, or protocol = "tcp"`)
	case r.Listener.IsValid() && r.Listener.Port() != r.Ports[0].First:
		t.fault("listener", why+`have it listen on port %d, or write ports = [%d], or protocol = "tcp"`, r.Ports[0].First, r.Listener.Port())
	}
}

// checkServiceFamily: an IPv4 socket takes no IPv6 packet. An IPv6 socket may take both.
func checkServiceFamily(t *table, r *Route) {
	for _, p := range r.Prefixes {
		if p.Addr().Is6() {
			t.fault("listener", "%s is an IPv4 socket, and takes no packets of prefix %s: write a route for the IPv6 prefixes, with an IPv6 listener", r.Listener, p)
			return
		}
	}
}
