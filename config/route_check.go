package config

import (
	"slices"
	"strings"

	"anyport/config/form"
	"anyport/config/habits"
	"anyport/config/position"
)

// routeName bounds names to 64 bytes: the kernel's maps hold them in a field of that size.
var routeName = form.New(`^[a-z0-9_-]{1,64}$`)

// checkRoute checks the keys of r against each other. A check runs only if the keys that it
// compares had no problem, so that one mistake is not reported twice.
func checkRoute(t *table, r *Route) {
	if !routeName().MatchString(r.Name) {
		faultName(t, r.Name)
	}
	checkMatch(t, r)
	if t.valid("action", "origins") {
		checkAction(t, r)
	}
	if t.valid("action", "service") {
		checkService(t, r)
	}
	if t.valid("protocol", "proxy_protocol") {
		checkHeader(t, r)
	}
	if t.valid("proxy_tlvs", "proxy_protocol", "accept_proxy", "action") {
		checkTLVs(t, r)
	}
	if len(r.AcceptProxy) > 0 && r.Action != Forward && t.valid("accept_proxy", "action") {
		t.fault("accept_proxy", `action = %q reads no PROXY header: remove it, or write action = "forward"`, r.Action)
	}
	if t.valid("action", "protocol") && len(r.Protocols) > 0 {
		checkUnused(t, r)
	}
	if t.valid("active", "inactive", "on_inactive", "action") {
		checkHours(t, r)
	}
	if t.valid("queue", "protocol", "origins", "action") {
		checkQueue(t, r)
	}
	if len(r.Source) > 0 && t.valid("source") {
		checkSource(t, r)
	}
	if r.Health != nil && t.valid("health", "action", "origins") {
		checkHealth(t, r)
	}
	if len(r.EgressPrefixes) > 0 && t.valid("egress_prefixes", "protocol", "action", "source", "origins") {
		checkEgress(t, r)
	}
	if t.valid("knock", "accept_proxy", "ports", "except_ports", "protocol") {
		checkKnock(t, r)
	}
	if r.Transparent && t.valid("transparent", "action", "source", "egress_prefixes", "proxy_protocol", "prefixes", "origins", "accept_proxy") {
		checkTransparent(t, r)
	}
}

// faultName reports a route's name, with a similar one that it can have.
func faultName(t *table, name string) {
	const text = "a route's name is 1 to 64 of a-z, 0-9, - and _: "
	at := t.report.at().Key(t.path)
	fix := habits.Slug(name)
	if source := t.report.at().Source(at); strings.HasPrefix(source, "route") && strings.HasSuffix(source, position.Join("", name)) {
		fix = "route." + fix
	}
	if habits.Slug(name) == "" {
		t.faultAt(at, "", text+"rename it")
		return
	}
	t.faultAt(at, "", text+habits.Advice(fix, "")).Fix = fix
}

// checkMatch checks that r takes anything at all.
func checkMatch(t *table, r *Route) {
	if len(r.Protocols) == 0 {
		t.require("protocol", `write protocol = "tcp", "udp" or ["tcp", "udp"]`)
	}
	if len(r.Prefixes) == 0 {
		t.require("prefixes", `write the prefixes to serve, such as prefixes = ["192.0.2.0/24"]`)
	}
	if len(r.Ports) == 0 {
		t.require("ports", `name some, or remove the key for all`)
	}
	if t.valid("protocol", "ports", "except_ports") {
		checkExceptions(t, r)
	}
}

// checkExceptions reports exceptions that leave no port at all, or none of one protocol.
func checkExceptions(t *table, r *Route) {
	var none []string
	for _, protocol := range r.Protocols {
		if r.takesNothing(protocol) {
			none = append(none, protocol.String())
		}
	}
	switch len(none) {
	case 0:
	case len(r.Protocols):
		t.fault("except_ports", "leaves none of the route's ports: except fewer, or remove the route")
	default:
		t.fault("except_ports", "leaves none of the route's %s ports: except fewer, or remove %[1]q from protocol", none[0])
	}
}

// checkAction: origins are required with forward, and a mistake with anything else: whoever
// wrote them expects that conns get there.
func checkAction(t *table, r *Route) {
	switch {
	case r.Action == Forward && len(r.Origins) == 0:
		t.require("origins", `action = "forward" needs one: write origins = ["10.0.0.5"], or another action`)
	case r.Action != Forward && r.Action != Socket && len(r.Origins) > 0:
		t.fault("origins", `action = %q does not use origins: remove them, or write action = "forward"`, r.Action)
	}
}

// headers are the values of proxy_protocol that each protocol can carry.
var headers = map[Protocol][]ProxyProtocol{
	TCP: {ProxyOff, ProxyV1, ProxyV2},
	UDP: {ProxyOff, ProxyV2, ProxyV2First, ProxySPP},
}

// checkHeader lists the values that fit all protocols of r, not only the one at fault.
func checkHeader(t *table, r *Route) {
	fitting := slices.Clone(headers[r.Protocols[0]])
	for _, protocol := range r.Protocols {
		fitting = slices.DeleteFunc(fitting, func(p ProxyProtocol) bool { return !slices.Contains(headers[protocol], p) })
	}
	for _, protocol := range r.Protocols {
		if !slices.Contains(headers[protocol], r.ProxyProtocol) {
			t.fault("proxy_protocol", "%q does not exist for %s: this route can have %s", r.ProxyProtocol, protocol, quoted(fitting))
		}
	}
}

// checkTLVs: only v2 has TLVs, and some come from an inbound header.
func checkTLVs(t *table, r *Route) {
	for _, tlv := range r.ProxyTLVs {
		switch inbound := tlv.Kind == TLVAuthority || tlv.Kind == TLVPass; {
		case r.ProxyProtocol != ProxyV2 && r.ProxyProtocol != ProxyV2First:
			t.fault("proxy_tlvs", `proxy_protocol = %q has no TLVs: write proxy_protocol = "v2", or remove proxy_tlvs`, string(r.ProxyProtocol))
			return
		case inbound && len(r.AcceptProxy) == 0:
			t.fault("proxy_tlvs", `%q comes from the header of a peer: name the peers in accept_proxy, or remove it`, tlv)
			return
		}
	}
}

// checkQueue checks that a conn of r can wait at all.
func checkQueue(t *table, r *Route) {
	limited := slices.ContainsFunc(r.Origins, func(o Origin) bool { return o.MaxConns > 0 })
	switch {
	case r.Queue == 0:
	case !r.Takes(TCP):
		t.fault("queue", `is for TCP, a datagram never waits: remove it, or add "tcp" to protocol`)
	case !limited:
		t.fault("queue", "no origin of this route has max_conns, so nothing would wait: write it for an origin, or remove queue")
	}
}

// checkSource checks that every origin can be dialled from at least one source: the address
// families must match.
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
