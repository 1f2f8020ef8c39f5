package table

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"anyport/config"
)

// Explanation is a Decision with its reasons, as `anyport explain` prints it.
type Explanation struct {
	Decision
	Origins []string // the candidates, each with the port that dst maps to
	Because []string // one line for each rule considered: why it won or lost
	Notes   []string // what is right by the file, and may surprise
}

// Explain is ExplainAt now.
func (t *Table) Explain(protocol config.Protocol, dst netip.AddrPort, client netip.Addr) Explanation {
	return t.ExplainAt(protocol, dst, client, time.Now())
}

// ExplainAt says what becomes of the first packet from client to dst at a time, and why. Whether
// a route denies the client is only known for a valid one.
func (t *Table) ExplainAt(protocol config.Protocol, dst netip.AddrPort, client netip.Addr, at time.Time) Explanation {
	e := Explanation{Decision: t.DecideAt(protocol, dst, client, at)}
	if !e.Prefix.IsValid() {
		e.Because = []string{fmt.Sprintf("no prefix holds %s: its packets are not steered", dst.Addr())}
		return e
	}
	if e.Verdict == Steer && t.IsDoorbell(dst) {
		e.Because = []string{fmt.Sprintf("udp port %d of %s takes authenticated knocks: [knock] port", dst.Port(), e.Prefix)}
		return e
	}
	if e.Verdict == Steer && e.Route == nil {
		e.Because = []string{fmt.Sprintf("%s is among egress_prefixes: what an origin sends there is steered back, and goes to the flow that it answers", e.Prefix)}
		return e
	}
	if e.Verdict == Steer {
		e.Origins = candidates(e.Route, dst.Port())
	}
	for _, b := range t.bindings[1 : 1+t.routeCount] {
		if prefix := longestCovering(b.Route, dst.Addr().Unmap()); prefix.IsValid() {
			e.Because = append(e.Because, fmt.Sprintf("route %q on %s %s", b.Route.Name, prefix, e.standing(b.Route, prefix, protocol, dst.Port())))
		}
	}
	if e.Route == nil {
		e.Because = append(e.Because, fmt.Sprintf("no route takes %v port %d: [steering] unmatched = %q", protocol, dst.Port(), e.Verdict))
		return e
	}
	e.Because = append(e.Because, reasons(t.find(protocol, dst).Clients, e.Route, client)...)
	e.Because = append(e.Because, hoursReason(e.Route, at)...)
	if e.Verdict == Steer {
		e.Because = append(e.Because, knockReason(e.Route)...)
	}
	e.Notes = reflectorNote(e.Decision, protocol, dst.Port())
	return e
}

// standing says how route fared against the one that won.
func (d Decision) standing(route *config.Route, prefix netip.Prefix, protocol config.Protocol, port uint16) string {
	ports, takes := narrowest(route.Ports, port)
	except, excepted := narrowest(route.Excepted(protocol), port)
	switch {
	case !route.Takes(protocol):
		return fmt.Sprintf("lost: it does not take %v", protocol)
	case !takes:
		return fmt.Sprintf("lost: its ports do not hold %d", port)
	case excepted:
		if _, written := narrowest(route.ExceptPorts, port); !written {
			return fmt.Sprintf(`lost: its except_ports have "reflectors", and udp port %d is %s`, port, config.Reflector(port))
		}
		return fmt.Sprintf("lost: its except_ports hold %d (%v)", port, except)
	case route == d.Route:
		return fmt.Sprintf("won: it has the longest prefix, then the narrowest ports (%v)", ports)
	case prefix.Bits() < d.Prefix.Bits():
		return fmt.Sprintf("lost: %s of route %q is longer", d.Prefix, d.Route.Name)
	}
	return fmt.Sprintf("lost: its ports %v are wider than %v of route %q", ports, d.Ports, d.Route.Name)
}

// reasons says by which rule of allow and deny route admits or denies client.
func reasons(clients *config.Clients, route *config.Route, client netip.Addr) []string {
	switch {
	case route.NamesClients():
		return peerReasons(clients, route, client)
	case clients == nil:
		return nil
	case !client.IsValid():
		return []string{fmt.Sprintf("route %q does not admit every client: ask with --from", route.Name)}
	}
	client = client.Unmap().WithZone("")
	admits, rule := clients.Admits(client), clients.Rule(client)
	list := "deny"
	if admits {
		list = "allow"
	}
	switch {
	case rule.IsValid():
		return []string{fmt.Sprintf("client %s: %s of route %q has %s%s", client, list, route.Name, rule, deniedText(route, admits))}
	case admits:
		return []string{fmt.Sprintf("client %s: deny of route %q does not hold it", client, route.Name)}
	}
	return []string{fmt.Sprintf("client %s: allow of route %q does not hold it%s", client, route.Name, deniedText(route, admits))}
}

// peerReasons is reasons for a route with accept_proxy: the kernel sees the peer, not the client.
func peerReasons(peers *config.Clients, route *config.Route, peer netip.Addr) []string {
	if !peer.IsValid() {
		return []string{fmt.Sprintf("route %q admits only the peers of its accept_proxy: ask with --from", route.Name)}
	}
	peer = peer.Unmap().WithZone("")
	if !peers.Admits(peer) {
		return []string{fmt.Sprintf("peer %s: accept_proxy of route %q does not hold it%s", peer, route.Name, deniedText(route, false))}
	}
	return []string{
		fmt.Sprintf("peer %s: accept_proxy of route %q has %s", peer, route.Name, peers.Rule(peer)),
		fmt.Sprintf("client: allow and deny of route %q apply to the one that the peer's PROXY header names", route.Name),
	}
}

// deniedText says what a denied client gets.
func deniedText(route *config.Route, admits bool) string {
	if admits {
		return ""
	}
	return fmt.Sprintf("; denied = %q", route.Denied)
}

// candidates lists the origins of route for a dst port.
func candidates(route *config.Route, port uint16) []string {
	var all []string
	for _, o := range route.Origins {
		all = append(all, candidate(o, port))
	}
	return all
}

func candidate(o config.Origin, port uint16) string {
	host := o.Host
	if host == "" {
		host = o.Addr.String()
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	text := fmt.Sprintf("%s:%d", host, o.Port(port))
	if o.SRV {
		text = o.Text // the records have the ports
	}
	if o.Weight != 1 {
		text += fmt.Sprintf(" weight %d", o.Weight)
	}
	if o.Backup {
		text += " backup"
	}
	return text
}

// String has one `key: value` a line: verdict, route, prefix, ports, then origin and
// because as often as there are any, and note. What does not apply is "-".
func (e Explanation) String() string {
	var text strings.Builder
	line := func(key, value string) { fmt.Fprintf(&text, "%s: %s\n", key, cmp.Or(value, "-")) }
	line("verdict", string(e.Verdict))
	line("route", e.RouteName())
	line("prefix", e.prefixText())
	line("ports", e.portsText())
	for _, o := range orDash(e.Origins) {
		line("origin", o)
	}
	for _, b := range e.Because {
		line("because", b)
	}
	for _, n := range e.Notes {
		line("note", n)
	}
	return text.String()
}

// RouteName is the name of the route, "" where no route takes dst.
func (d Decision) RouteName() string {
	if d.Route == nil {
		return ""
	}
	return d.Route.Name
}

func (d Decision) prefixText() string {
	if !d.Prefix.IsValid() {
		return ""
	}
	return d.Prefix.String()
}

func (d Decision) portsText() string {
	if d.Route == nil {
		return ""
	}
	return d.Ports.String()
}

func orDash(all []string) []string {
	if len(all) == 0 {
		return []string{""}
	}
	return all
}

// reflectorNote warns of a port that a route steers though its ports do not name it, and
// through which others can be attacked.
func reflectorNote(d Decision, protocol config.Protocol, port uint16) []string {
	if protocol != config.UDP || d.Verdict != Steer {
		return nil
	}
	service := d.Route.WideReflector(port)
	if service == "" {
		return nil
	}
	return []string{fmt.Sprintf(`udp port %d is %s, through which others can be attacked: except_ports = ["reflectors"] of route %q leaves it out`,
		port, service, d.Route.Name)}
}
