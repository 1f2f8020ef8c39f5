package nginx

import (
	"net/netip"
	"slices"
	"strings"

	"anyport/cmd/anyport/internal/proxyconf"
	"anyport/config"
)

// listens are the addresses of a server that anyport can serve. The others are left with the reason.
func (r *reader) listens(s *server) []proxyconf.Listen {
	var all []proxyconf.Listen
	for _, d := range s.block {
		if d.name != "listen" {
			continue
		}
		l, reason := s.listen(d)
		if reason == "" {
			_, reason = r.options.Served(l)
		}
		if reason != "" {
			d.Leave("%s", reason)
			continue
		}
		all = append(all, l)
	}
	return all
}

// listen reads an address and its parameters.
func (s *server) listen(d *directive) (proxyconf.Listen, string) {
	l, reason := parseListen(d.arg(0))
	l.Line = d.Line
	if reason != "" {
		return l, reason
	}
	for _, p := range d.args[1:] {
		switch name, _, _ := strings.Cut(p, "="); name {
		case "udp":
			l.Protocol = config.UDP
		case "ssl":
			return l, "ssl: nginx ends TLS here, and anyport relays bytes as they are"
		case "quic":
			return l, "quic: nginx ends QUIC here, and anyport relays datagrams as they are"
		case "proxy_protocol":
			if l.AcceptProxy, reason = s.peers(d); reason != "" {
				return l, reason
			}
		case "ipv6only":
			l.Both = p == "ipv6only=off" && l.Address == netip.IPv6Unspecified()
			d.Became("prefixes")
		case "so_keepalive":
			d.Leave("%s: see keepalive, which is on", p)
		default:
			d.Leave("%s: anyport opens one listening socket for all routes", p)
		}
	}
	return l, ""
}

// peers are those whose PROXY headers are believed. nginx asks every peer for a header and takes the
// client from those of set_real_ip_from. anyport refuses other peers. Without any such line nginx
// believes nobody, and a route that believes everybody would let clients forge their address.
func (s *server) peers(listen *directive) (peers []netip.Prefix, reason string) {
	for _, d := range s.each("set_real_ip_from") {
		p, ok := parseNetwork(d.arg(0))
		if !ok {
			d.Leave("it is not an address")
			continue
		}
		peers = append(peers, p...)
		d.Became("accept_proxy")
	}
	if len(peers) == 0 {
		return nil, "proxy_protocol: nginx reads headers of everybody and believes none; write set_real_ip_from for each peer that sends them, and import again"
	}
	listen.Became("accept_proxy")
	listen.Differs("other peers are refused")
	return peers, ""
}

// parseListen reads "80", "192.0.2.7:80", "[::]:1000-2000", "*:53".
func parseListen(text string) (l proxyconf.Listen, reason string) {
	l.Protocol = config.TCP
	if strings.HasPrefix(text, "unix:") {
		return l, "a unix socket: anyport forwards between addresses"
	}
	host, ports := splitPort(text)
	if ports == "" {
		host, ports = "*", text
	}
	var ok bool
	if l.Ports, ok = config.ParsePorts(ports); !ok {
		return l, "it has no port from 1 to 65535"
	}
	if host == "*" {
		l.Address = netip.IPv4Unspecified()
		return l, ""
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" {
		return l, "a name to listen on: write its address"
	}
	l.Address = addr.Unmap()
	return l, ""
}

// takes reports whether the server listens over a protocol.
func (s *server) takes(p config.Protocol) bool {
	return slices.ContainsFunc(s.listens, func(l proxyconf.Listen) bool { return l.Protocol == p })
}
