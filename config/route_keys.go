package config

import (
	"fmt"
	"net/netip"
	"regexp"
)

var routeName = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)

// readRoute reads one [route.NAME] table by itself; what routes do to one another
// is checked later.
func readRoute(t *table, steering Steering, defaults Timeouts) *Route {
	r := &Route{
		Name:              t.route,
		Line:              t.report.lines.at(join("route", t.route)),
		Ports:             []PortRange{{1, 65535}},
		Action:            Forward,
		Balance:           RoundRobin,
		ProxyProtocol:     ProxyOff,
		Denied:            Refuse,
		AntiAmplification: true,
		Timeouts:          defaults,
	}
	if !routeName.MatchString(r.Name) {
		t.fault("", "a route's name is 1 to 64 of a-z, 0-9, - and _: rename it")
	}
	readMatch(t, r, steering.AllowLoopback)
	readForward(t, r)
	readClients(t, r)
	readTimeouts(t, &r.Timeouts)
	checkUnsupported(t)
	t.done()
	return r
}

// readMatch reads what r takes.
func readMatch(t *table, r *Route, allowLoopback bool) {
	setOneOrList(t, "protocol", &r.Protocols, oneOf(TCP, UDP))
	setList(t, "prefixes", &r.Prefixes, servedPrefix(allowLoopback))
	setOneOrList(t, "ports", &r.Ports, portRange)
	setOneOrList(t, "except_ports", &r.ExceptPorts, portRange)
	if len(r.Protocols) == 0 && t.sound("protocol") {
		t.fault("protocol", `names none: write protocol = "tcp", "udp" or ["tcp", "udp"]`)
	}
	if len(r.Prefixes) == 0 && t.sound("prefixes") {
		t.fault("prefixes", `names none: write the prefixes to serve, such as prefixes = ["192.0.2.0/24"]`)
	}
	if len(r.Ports) == 0 && t.sound("ports") {
		t.fault("ports", `names none: write some, or remove the key for all`)
	}
	if t.sound("protocol", "ports", "except_ports") && r.takesNothing() {
		t.fault("except_ports", "leaves none of the route's ports: except fewer, or remove the route")
	}
}

// readForward reads where r goes, and how.
func readForward(t *table, r *Route) {
	set(t, "action", &r.Action, oneOf(Forward, Refuse, Drop, Pass))
	readOrigins(t, r)
	set(t, "balance", &r.Balance, oneOf(RoundRobin, LeastConn, Random, SourceHash, First))
	set(t, "proxy_protocol", &r.ProxyProtocol, oneOf(ProxyOff, ProxyV1, ProxyV2, ProxyV2First, ProxySPP))
	setList(t, "source", &r.Source, sourceAddr)
	if t.sound("action", "origins") {
		checkAction(t, r)
	}
	if t.sound("protocol", "proxy_protocol") {
		checkHeader(t, r)
	}
	if len(r.Source) > 0 && t.sound("source") {
		checkSource(t, r)
	}
}

func checkAction(t *table, r *Route) {
	switch {
	case r.Action == Forward && len(r.Origins) == 0:
		t.fault("origins", `names none, and action = "forward" needs one: write origins = ["10.0.0.5"], or another action`)
	case r.Action != Forward && len(r.Origins) > 0:
		t.fault("origins", `action = %q has no use for origins: remove them, or write action = "forward"`, r.Action)
	}
}

// checkHeader refuses a header that one of the route's protocols cannot carry.
func checkHeader(t *table, r *Route) {
	switch r.ProxyProtocol {
	case ProxyV1:
		if r.Takes(UDP) {
			t.fault("proxy_protocol", `"v1" has no form for udp: write "v2", "v2-first" or "spp", or give tcp a route of its own`)
		}
	case ProxyV2First, ProxySPP:
		if r.Takes(TCP) {
			t.fault("proxy_protocol", `%q has no form for tcp: write "v1" or "v2", or give udp a route of its own`, r.ProxyProtocol)
		}
	}
}

func sourceAddr(value any) (netip.Addr, error) {
	text, _ := value.(string)
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return addr, fmt.Errorf(`%s is not an address: write one of this host's, such as "10.0.0.2"`, show(value))
	}
	return addr, checkDialable(text, addr)
}

// checkSource sees to it that every origin can be dialled from some source.
func checkSource(t *table, r *Route) {
	families := map[bool]bool{}
	for _, source := range r.Source {
		families[source.Is4()] = true
	}
	for _, o := range r.Origins {
		if o.Host == "" && !families[o.Addr.Is4()] {
			t.fault("source", "has no address of the family of origin %q: add one, or remove the origin", o.Text)
			return
		}
	}
}

// readClients reads whom r serves, and how many.
func readClients(t *table, r *Route) {
	setList(t, "allow", &r.Allow, peerPrefix)
	setList(t, "deny", &r.Deny, peerPrefix)
	set(t, "denied", &r.Denied, oneOf(Refuse, Drop))
	set(t, "max_conns", &r.MaxConns, count)
	set(t, "max_conns_per_client", &r.MaxConnsPerClient, count)
	set(t, "max_flows", &r.MaxFlows, count)
	set(t, "anti_amplification", &r.AntiAmplification, boolean)
}
