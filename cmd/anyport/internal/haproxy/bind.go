package haproxy

import (
	"net/netip"
	"strings"

	"anyport/cmd/anyport/internal/proxyconf"
	"anyport/config"
)

// listens are the addresses of a section that anyport can serve. The others are left with the reason.
func (r *reader) listens(s *settings) []proxyconf.Listen {
	var all []proxyconf.Listen
	for _, d := range s.each("bind") {
		if d.Section == s.Section {
			all = append(all, r.bind(s, d)...)
		}
	}
	return all
}

// bind reads a bind line: addresses, then parameters.
func (r *reader) bind(s *settings, d *directive) []proxyconf.Listen {
	b := proxyconf.Listen{Protocol: config.TCP, Line: d.Line}
	onlyIPv6, accept := false, false
	for _, p := range params(d, d.words[min(2, len(d.words)):], bindValued) {
		switch p.name {
		case "ssl":
			d.Leave("ssl: HAProxy ends TLS here, and anyport relays bytes as they are")
			return nil
		case "transparent":
			b.Transparent = true
			d.Became("prefixes")
		case "accept-proxy":
			accept = true
		case "v6only":
			onlyIPv6 = true
			d.Became("prefixes")
		case "v4v6":
			d.Became("prefixes") // as it is without
		default:
			d.Leave("%s: %s", p.text(), bindReason(p.name))
		}
	}
	var reason string
	if b.AcceptProxy, reason = r.peers(s, d, accept); reason != "" {
		d.Leave("%s", reason)
		return nil
	}
	var served []proxyconf.Listen
	for _, address := range strings.Split(d.word(1), ",") {
		l, reason := parseBind(address, b)
		if reason == "" {
			l.Both = l.Both && !onlyIPv6
			_, reason = r.options.Served(l)
		}
		if reason != "" {
			d.Leave("%s: %s", address, reason)
			continue
		}
		served = append(served, l)
	}
	return served
}

// bindReason is why a parameter of a bind is left.
func bindReason(name string) string {
	switch name {
	case "interface":
		return "anyport serves its prefixes whichever interface a packet arrives on"
	case "name", "id", "guid", "label":
		return "a route has a name"
	case "backlog":
		return "write tcp_backlog in [listen]"
	case "maxconn":
		return "write max_conns in the route: it is for all of its addresses"
	case "tfo", "defer-accept", "mss", "tcp-ut", "tcp-md5sig", "cc", "nice", "process", "thread", "shards":
		return "anyport opens one listening socket for all routes"
	}
	return "anyport has no equal"
}

// parseBind reads an address to listen on: "192.0.2.7:80", ":80", "*:1-65535", "[::]:443", "ipv6@…".
func parseBind(text string, l proxyconf.Listen) (proxyconf.Listen, string) {
	host, ports, reason := splitAddress(text)
	if reason != "" {
		return l, reason
	}
	var ok bool
	if l.Ports, ok = config.ParsePorts(ports); !ok {
		return l, "it has no port from 1 to 65535"
	}
	switch host {
	case "", "*":
		l.Address = netip.IPv4Unspecified()
		return l, ""
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" {
		return l, "a name to listen on: write its address"
	}
	l.Address = addr.Unmap()
	// An IPv6 wildcard socket also takes IPv4, unless v6only says otherwise:
	l.Both = addr == netip.IPv6Unspecified() // net.ipv6.bindv6only is 0 unless somebody sets it
	return l, ""
}

// splitAddress cuts the port off: what follows the last colon outside of brackets. So ":::80" is port
// 80 of ::, and an IPv6 address without a port needs brackets or a colon at its end (section 4.2 of
// HAProxy's manual, bind).
func splitAddress(text string) (host, port, reason string) {
	family, rest, named := strings.Cut(text, "@")
	switch {
	case strings.HasPrefix(text, "/") || named && (family == "unix" || strings.HasPrefix(family, "abns")):
		return "", "", "a unix socket: anyport forwards between addresses"
	case named && strings.HasPrefix(family, "udp") || named && strings.HasPrefix(family, "quic"):
		return "", "", family + " is not TCP: write a route for UDP"
	case named && family != "ipv4" && family != "ipv6" && family != "tcp" && family != "tcp4" && family != "tcp6":
		return "", "", family + "@ is not an address of the network"
	case named:
		text = rest
	}
	cut := strings.LastIndexAny(text, ":]")
	host = text
	if cut >= 0 && text[cut] == ':' {
		host, port = text[:cut], text[cut+1:]
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), port, ""
}
