package haproxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"anyport/cmd/anyport/internal/proxyconf"
	"anyport/config"
)

// server is a server line with the parameters that it inherits from default-server lines above it. The
// last of two parameters of one name counts, so its own come last.
type server struct {
	*directive
	origin proxyconf.Origin
	header string // "off", "v1", "v2": the PROXY header before the client's data
	params []param
}

// get is the last parameter of a name.
func (s *server) get(name string) (param, bool) {
	for _, p := range slices.Backward(s.params) {
		switch p.name {
		case name:
			return p, true
		case "no-" + name:
			return p, false
		}
	}
	return param{}, false
}

// has reports whether a parameter is set, and not unset later.
func (s *server) has(name string) bool {
	_, ok := s.get(name)
	return ok
}

// servers are those that anyport can forward to. The others are left with the reason.
func (s *settings) servers(listens []proxyconf.Listen) []*server {
	var all []*server
	var inherited []param
	for _, d := range s.all {
		switch {
		case d.begins("default-server"):
			inherited = append(inherited, params(d, d.words[1:], serverValued)...)
		case d.begins("server") && d.Section == s.Section:
			own := params(d, d.words[min(3, len(d.words)):], serverValued)
			all = append(all, &server{directive: d, params: slices.Concat(inherited, own)})
		case d.begins("server-template") && d.Section == s.Section:
			own := params(d, d.words[min(4, len(d.words)):], serverValued)
			all = append(all, &server{directive: d, params: slices.Concat(inherited, own)})
		case d.begins("dispatch") && d.Section == s.Section:
			all = append(all, &server{directive: d})
		}
	}
	return usable(all, listens)
}

// usable leaves servers that anyport cannot forward to, or not in the same route as the first: a route
// has one PROXY header, and package config refuses an origin that stands there twice.
func usable(all []*server, listens []proxyconf.Listen) []*server {
	var list []*server
	seen := map[string]string{}
	for _, s := range all {
		reason := s.read(listens)
		place := fmt.Sprint(s.origin.Host, s.origin.Port, s.origin.Shift)
		switch {
		case reason != "":
		case len(list) > 0 && s.header != list[0].header:
			reason = fmt.Sprintf("it gets another PROXY header than %s: a route has one", list[0].word(1))
		case seen[place] != "":
			reason = fmt.Sprintf("it has the address of %s: give that one the weight of both", seen[place])
		}
		if reason != "" {
			s.Leave("%s", reason)
			continue
		}
		seen[place] = s.word(1)
		list = append(list, s)
	}
	return list
}

// read reads the address of a server, and the parameters that are its own. It returns why anyport
// cannot forward to it.
func (s *server) read(listens []proxyconf.Listen) string {
	var reason string
	switch s.words[0] {
	case "dispatch":
		s.origin, reason = parseServer(s.word(1), listens)
	case "server-template":
		s.origin, reason = parseServer(s.word(3), listens)
		s.Differs("the number of servers is that of the name's addresses")
	default:
		s.origin, reason = parseServer(s.word(2), listens)
	}
	if reason != "" {
		return reason
	}
	if s.has("ssl") {
		return "ssl: HAProxy encrypts to this server, and anyport relays bytes as they are"
	}
	s.header = "off"
	switch {
	case s.has("send-proxy-v2") || s.has("send-proxy-v2-ssl") || s.has("send-proxy-v2-ssl-cn"):
		s.header = "v2"
	case s.has("send-proxy"):
		s.header = "v1"
	}
	if p, ok := s.get("weight"); ok {
		if weight, err := strconv.Atoi(p.value()); err == nil {
			s.origin.Weight = weight
			p.line.Became("origins")
		}
	}
	if p, ok := s.get("maxconn"); ok {
		s.origin.MaxConns, _ = strconv.Atoi(p.value())
		p.line.Became("origins")
	}
	s.origin.Backup = s.has("backup")
	if s.off() {
		s.origin.Weight = 0
		s.Differs("disabled: weight 0, until you remove it")
	}
	return ""
}

// off reports whether the last of disabled and enabled is disabled.
func (s *server) off() bool {
	off := false
	for _, p := range s.params {
		switch p.name {
		case "disabled", "enabled":
			off = p.name == "disabled"
		}
	}
	return off
}

// parseServer reads an address to forward to, for clients of some listens; none: of any port. Without a port, or with one as "+1000", the client's
// port counts.
func parseServer(text string, listens []proxyconf.Listen) (proxyconf.Origin, string) {
	o := proxyconf.Origin{Weight: 1}
	host, port, reason := splitAddress(text)
	if reason != "" {
		return o, reason
	}
	o.Host = host
	if strings.HasPrefix(host, "_") { // SRV records have the ports
		o.Host = "srv:" + host
		port = ""
	}
	if reason := o.CheckHost(); reason != "" {
		return o, reason
	}
	n, err := strconv.Atoi(port)
	switch {
	case port == "" || port == "0":
	case err != nil || n < -65535 || n > 65535:
		return o, fmt.Sprintf("%q is not a port", port)
	case port[0] == '+' || port[0] == '-':
		o.Shift = n
	default:
		o.Port = n
	}
	if o.Shift != 0 && len(listens) == 0 {
		return o, fmt.Sprintf("port %s depends on the client's, which the rules decide", port)
	}
	for _, l := range listens {
		if _, ok := o.Text([]config.PortRange{l.Ports}); !ok {
			return o, fmt.Sprintf("port %s of the client's %s is none", port, l.Ports)
		}
	}
	return o, ""
}

// sources are the addresses to dial a server from, of its own parameter or the section's line.
func (s *server) source(section *directive) (words []string, line *directive) {
	if p, ok := s.get("source"); ok {
		return p.values, p.line
	}
	if section != nil {
		return section.words[1:], section
	}
	return nil, nil
}

// readSource reads ADDRESS [usesrc WHAT] [interface NAME].
func readSource(words []string) (address netip.Addr, transparent bool, reason string) {
	if len(words) == 0 {
		return address, false, "source without an address"
	}
	host, port, reason := splitAddress(words[0])
	if reason != "" {
		return address, false, reason
	}
	if host != "*" && host != "" {
		var err error
		if address, err = netip.ParseAddr(host); err != nil {
			return address, false, "a name to dial from: write its address"
		}
	}
	for i := 1; i+1 < len(words); i += 2 {
		switch {
		case words[i] == "interface":
			return address, false, "anyport dials without naming an interface"
		case words[i+1] == "client" || words[i+1] == "clientip":
			transparent = true
		default:
			return address, false, "usesrc " + words[i+1] + " has no equal: transparent dials from the client's address"
		}
	}
	if !transparent && port != "" && port != "0" {
		return address, false, "source ports are the kernel's choice"
	}
	return address.Unmap(), transparent, ""
}
