package haproxy

import (
	"net/netip"
	"slices"
	"strings"

	"anyport/cmd/anyport/internal/draft"
	"anyport/cmd/anyport/internal/proxyconf"
)

// forwarding is what conns of front get that go to back: back's servers, and the settings of both.
func (r *reader) forwarding(front, back *settings, listens []proxyconf.Listen) (*proxyconf.Forwarding, string) {
	switch {
	case back == nil:
		return nil, "there is no such section in this file: put all files into one"
	case back.mode() != "tcp":
		return nil, back.title() + " is of mode " + back.mode() + ", not layer 4"
	case back.off():
		return nil, back.title() + " is disabled"
	case back.option("transparent") != nil:
		return nil, back.title() + " forwards to the client's dst, as a forward proxy: anyport is a reverse proxy"
	}
	at := listens
	if r.options.Elsewhere {
		at = nil // the ports that they listen on are not those that clients ask for
	}
	servers := back.servers(at)
	if len(servers) == 0 {
		return nil, back.title() + " has no server that anyport can use"
	}
	f := &proxyconf.Forwarding{}
	for _, s := range servers {
		f.Origins = append(f.Origins, s.origin)
		s.Became("origins")
	}
	setBalance(f, back)
	setHeader(f, servers)
	setSource(f, servers, back.last("source"))
	r.setAccess(f, front, back, listens)
	setLimits(f, front)
	setTimeouts(f, front, back)
	setKeepalive(f, front, back)
	setServerKeys(f, servers)
	setQueue(f, back, servers)
	setHealth(f, back, servers, at)
	explainParams(back, servers)
	return f, ""
}

// setHeader writes the PROXY header, which is the same for all servers.
func setHeader(f *proxyconf.Forwarding, servers []*server) {
	if servers[0].header != "off" {
		f.Set(servers[0].Line, "proxy_protocol", draft.Text(servers[0].header))
	}
	for _, s := range servers {
		for _, name := range []string{"send-proxy", "send-proxy-v2", "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn"} {
			p, ok := s.get(name)
			if !ok {
				continue
			}
			p.line.Became("proxy_protocol")
			if strings.Contains(name, "ssl") {
				p.line.Leave("%s: the header has no TLS part, since anyport does not end TLS", name)
			}
		}
		setTLVs(f, s)
	}
}

// setTLVs writes those parts of a v2 header that anyport has too.
func setTLVs(f *proxyconf.Forwarding, s *server) {
	p, ok := s.get("proxy-v2-options")
	if !ok || s.header != "v2" {
		return
	}
	var tlvs []string
	for _, option := range strings.Split(p.value(), ",") {
		if option == "unique-id" || option == "crc32c" {
			tlvs = append(tlvs, option)
		} else {
			p.line.Leave("proxy-v2-options %s: anyport does not know it at layer 4", option)
		}
	}
	if len(tlvs) > 0 {
		slices.Sort(tlvs)
		f.Set(p.line.Line, "proxy_tlvs", draft.List(slices.Compact(tlvs)...))
	}
}

// setSource writes where servers are dialled from. One address of each family is enough for a route.
func setSource(f *proxyconf.Forwarding, servers []*server, section *directive) {
	var sources []netip.Addr
	var with []*directive
	transparent, fixed := 0, 0
	for _, s := range servers {
		words, line := s.source(section)
		if line == nil {
			continue
		}
		address, usesrc, reason := readSource(words)
		switch {
		case reason != "":
			line.Leave("source: %s", reason)
		case usesrc:
			transparent++
			line.Became("transparent")
		case address.IsValid() && !address.IsUnspecified():
			fixed++
			sources, with = append(sources, address), append(with, line)
		default:
			line.Leave("source: any address is the default")
		}
	}
	slices.SortFunc(sources, netip.Addr.Compare)
	sources = slices.Compact(sources)
	reason := ""
	switch {
	case transparent > 0 && transparent < len(servers):
		f.Notes = append(f.Notes, "transparent is for all origins of a route; before it was for some")
		fallthrough
	case transparent > 0:
		f.Set(nil, "transparent", "true")
		reason = "transparent dials from the client's address"
	case fixed < len(servers) || !familiesFit(sources, f.Origins):
		reason = "not for all servers: a route has one list for all origins"
	default:
		f.Set(nil, "source", proxyconf.Prefixes(hosts(sources)))
	}
	for _, line := range with {
		if reason != "" {
			line.Leave("source: %s", reason)
			continue
		}
		line.Became("source")
	}
}

// familiesFit reports whether each origin can be dialled from one of the sources.
func familiesFit(sources []netip.Addr, origins []proxyconf.Origin) bool {
	return !slices.ContainsFunc(origins, func(o proxyconf.Origin) bool {
		addr, err := netip.ParseAddr(o.Host)
		return err == nil && !slices.ContainsFunc(sources, func(s netip.Addr) bool { return s.Is4() == addr.Is4() })
	})
}

func hosts(addresses []netip.Addr) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, a := range addresses {
		prefixes = append(prefixes, proxyconf.Host(a))
	}
	return prefixes
}
