package nginx

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"anyport/cmd/anyport/internal/proxyconf"
	"anyport/config"
)

// choices are where a server forwards to. "ADDRESS:$server_port" keeps the client's port, which is how
// one server listens on a range. A variable that a map makes of the dst gives several choices.
func (r *reader) choices(s *server) ([]proxyconf.Choice, string) {
	d := s.last("proxy_pass")
	to, keepPort := strings.CutSuffix(strings.ReplaceAll(d.arg(0), "${server_port}", "$server_port"), ":$server_port")
	variable, isVariable := strings.CutPrefix(to, "$")
	if !isVariable {
		f, reason := r.forwarding(s, to, keepPort)
		if reason != "" {
			return nil, reason
		}
		d.Became("origins")
		return []proxyconf.Choice{{Forwarding: f}}, ""
	}
	variable = strings.Trim(variable, "{}")
	if variable == "server_addr" {
		return nil, "it forwards to the client's dst, as a forward proxy: anyport is a reverse proxy"
	}
	m := r.mapOf(variable)
	if m == nil {
		return nil, fmt.Sprintf("$%s is not known: anyport decides by the dst only", variable)
	}
	choices, reason := r.mapped(s, m, keepPort)
	if reason == "" {
		d.Became("origins")
		m.Became("route")
	}
	return choices, reason
}

// mapOf is the map or geo block that makes a variable.
func (r *reader) mapOf(variable string) *directive {
	for _, d := range r.outer {
		if d.opens && (d.name == "map" || d.name == "geo") && len(d.args) > 0 && d.args[len(d.args)-1] == "$"+variable {
			return d
		}
	}
	return nil
}

// mapped are the choices of a map: by $server_port, or by $server_addr. In geo the longest prefix
// wins, and the choices of a service go by their order.
func (r *reader) mapped(s *server, m *directive, keepPort bool) ([]proxyconf.Choice, string) {
	by := strings.Trim(m.arg(0), "${}")
	if len(m.args) != 2 || by != "server_port" && by != "server_addr" {
		return nil, fmt.Sprintf("the map at %s is not by the dst", m.Place())
	}
	var choices []proxyconf.Choice
	var otherwise *directive
	for _, entry := range m.block {
		if entry.name == "include" {
			continue
		}
		if entry.name == "default" {
			otherwise = entry
			continue
		}
		choice, reason := entryOf(entry, by)
		if reason == "" {
			choice.Forwarding, reason = r.target(s, entry, keepPort)
		}
		if reason != "" {
			entry.Leave("%s", reason)
			continue
		}
		choice.Name = entry.arg(0)
		entry.Became("route")
		choices = append(choices, choice)
	}
	slices.SortStableFunc(choices, func(a, b proxyconf.Choice) int { return cmp.Compare(longest(b.To), longest(a.To)) })
	if otherwise != nil {
		f, reason := r.target(s, otherwise, keepPort)
		if reason != "" {
			otherwise.Leave("%s", reason)
		} else {
			otherwise.Became("route")
			choices = append(choices, proxyconf.Choice{Forwarding: f})
		}
	}
	if len(choices) == 0 {
		return nil, fmt.Sprintf("the map at %s has no entry that anyport can use", m.Place())
	}
	return choices, ""
}

// longest is the length of a choice's prefix.
func longest(to []netip.Prefix) int {
	if len(to) == 0 {
		return -1
	}
	return to[0].Bits()
}

// entryOf reads what an entry of a map matches.
func entryOf(entry *directive, by string) (choice proxyconf.Choice, reason string) {
	if by == "server_port" {
		port, err := strconv.ParseUint(entry.name, 10, 16)
		if err != nil || port == 0 {
			return choice, "it is not a port"
		}
		choice.Ports = []config.PortRange{{First: uint16(port), Last: uint16(port)}}
		return choice, ""
	}
	to, ok := parseNetwork(entry.name)
	if !ok {
		return choice, "it is not an address"
	}
	choice.To = to
	return choice, ""
}

// target is the forwarding of an entry's value.
func (r *reader) target(s *server, entry *directive, keepPort bool) (*proxyconf.Forwarding, string) {
	to := entry.arg(0)
	if !keepPort {
		to, keepPort = strings.CutSuffix(to, ":$server_port")
	}
	if to == "" || strings.Contains(to, "$") {
		return nil, fmt.Sprintf("%q is not an address or an upstream", entry.arg(0))
	}
	return r.forwarding(s, to, keepPort)
}

// forwarding is what a server does with conns for an upstream or an address.
func (r *reader) forwarding(s *server, to string, keepPort bool) (*proxyconf.Forwarding, string) {
	f := &proxyconf.Forwarding{}
	if u := r.upstream(to); u != nil && !keepPort {
		if reason := u.fill(f); reason != "" {
			return nil, reason
		}
	} else {
		o, reason := parseOrigin(to, keepPort)
		if reason != "" {
			return nil, reason
		}
		f.Origins = []proxyconf.Origin{o}
	}
	s.setKeys(f)
	return f, ""
}

// parseOrigin reads an address with its port, or with the client's.
func parseOrigin(text string, keepPort bool) (proxyconf.Origin, string) {
	o := proxyconf.Origin{Weight: 1}
	if strings.HasPrefix(text, "unix:") {
		return o, "a unix socket: anyport forwards between addresses"
	}
	if strings.Contains(text, "$") {
		return o, fmt.Sprintf("%s has variables: anyport decides by the dst only", text)
	}
	host, port := splitPort(text)
	o.Host = host
	if reason := o.CheckHost(); reason != "" {
		return o, reason
	}
	if keepPort {
		return o, ""
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return o, fmt.Sprintf("%s has no port", text)
	}
	o.Port = int(n)
	return o, ""
}

// serviceName names a route after its upstream, or else after its port.
func (s *server) serviceName(choices []proxyconf.Choice) string {
	to, _, _ := strings.Cut(s.last("proxy_pass").arg(0), ":")
	if _, err := netip.ParseAddr(to); err != nil && !strings.ContainsAny(to, "$[") {
		return to
	}
	if s.listens[0].Ports.Width() == 65535 {
		return "every-port"
	}
	return fmt.Sprintf("port-%s", s.listens[0].Ports)
}
