package config

import (
	"net/netip"
)

// readRoute reads one [route.NAME] table by itself; what routes do to one another
// is checked later.
func readRoute(t *table, steering Steering, defaults Timeouts) *Route {
	r := &Route{
		Name:              t.route,
		Line:              t.report.lineOf(t.path),
		Ports:             []PortRange{{1, 65535}},
		Action:            Forward,
		Balance:           RoundRobin,
		ProxyProtocol:     ProxyOff,
		Denied:            Refuse,
		AntiAmplification: true,
		Timeouts:          defaults,

		AmplificationBudget: 1 << 20,
	}
	readMatch(t, r, steering.AllowLoopback)
	readForward(t, r, steering.AllowLoopback)
	readClients(t, r)
	readTimeouts(t, &r.Timeouts)
	checkUnsupported(t)
	t.done()
	checkRoute(t, r)
	return r
}

// readMatch reads what r takes.
func readMatch(t *table, r *Route, allowLoopback bool) {
	setOneOrList(t, "protocol", &r.Protocols, oneOf(TCP, UDP))
	setList(t, "prefixes", &r.Prefixes, servedPrefix(allowLoopback))
	setOneOrList(t, "ports", &r.Ports, portRange)
	readExceptPorts(t, r)
}

// readForward reads where r goes, and how.
func readForward(t *table, r *Route, allowLoopback bool) {
	set(t, "action", &r.Action, oneOf(Forward, Refuse, Drop, Pass))
	readOrigins(t, r)
	set(t, "balance", &r.Balance, oneOf(RoundRobin, LeastConn, Random, SourceHash, First))
	set(t, "proxy_protocol", &r.ProxyProtocol, oneOf(ProxyOff, ProxyV1, ProxyV2, ProxyV2First, ProxySPP))
	setList(t, "source", &r.Source, sourceAddr)
	setList(t, "egress_prefixes", &r.EgressPrefixes, servedPrefix(allowLoopback))
}

// readClients reads whom r serves, and how many.
func readClients(t *table, r *Route) {
	setList(t, "allow", &r.Allow, peerPrefix)
	setList(t, "deny", &r.Deny, peerPrefix)
	set(t, "denied", &r.Denied, oneOf(Refuse, Drop))
	set(t, "max_conns", &r.MaxConns, count)
	set(t, "max_conns_per_client", &r.MaxConnsPerClient, count)
	set(t, "max_flows", &r.MaxFlows, count)
	set(t, "max_flows_per_client", &r.MaxFlowsPerClient, count)
	set(t, "new_conns_per_second", &r.NewConnsPerSecond, perSecond)
	set(t, "datagrams_per_second", &r.DatagramsPerSecond, perSecond)
	set(t, "anti_amplification", &r.AntiAmplification, boolean)
	set(t, "amplification_budget", &r.AmplificationBudget, rate("0B/s", "1TiB/s"))
	set(t, "mirror_closed", &r.MirrorClosed, boolean)
}

func sourceAddr(value any) (netip.Addr, error) {
	text, _ := value.(string)
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return addr, wrong("Address", value, "is not an address", `write one of this host's, such as "10.0.0.2"`)
	}
	return addr, checkDialable(text, addr)
}
