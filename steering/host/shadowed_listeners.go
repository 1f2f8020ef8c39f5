package host

import (
	"fmt"
	"net/netip"
	"strings"

	"anyport/config"
	"anyport/steering/table"
)

// Listener is a socket that takes conns or datagrams from anybody: a TCP listener or
// an unconnected UDP socket.
type Listener struct {
	Protocol config.Protocol
	Addr     netip.AddrPort // unmapped; unspecified: on all addresses of the host
	IPv6Only bool           // of an unspecified IPv6 address: it takes no IPv4
	Process  string         // "" where it is not known
	PID      int

	Transparent bool // IP_TRANSPARENT: usually a proxy behind TPROXY rules; false if the kernel does not say
}

// Shadow is a listener that would not be reached any more, on the addresses of Taken.
type Shadow struct {
	Listener
	Taken []netip.Addr   // never empty
	By    table.Decision // for the first of Taken
}

// Owns reports whether a route with action = "socket" leads to l, which then loses nothing.
type Owns func(r *config.Route, l Listener) bool

// Shadowed returns those of listeners that t takes packets from: by a route, or by
// refusing or dropping what no route takes.
func Shadowed(t *table.Table, listeners []Listener, host *Network, owns Owns) []Shadow {
	var all []Shadow
	for _, l := range listeners {
		s := Shadow{Listener: l}
		for _, addr := range l.addresses(host) {
			d := t.Decide(l.Protocol, netip.AddrPortFrom(addr, l.Addr.Port()), netip.Addr{})
			if d.Verdict == table.Pass || d.Verdict == table.Socket && owns(d.Route, l) {
				continue
			}
			if len(s.Taken) == 0 {
				s.By = d
			}
			s.Taken = append(s.Taken, addr)
		}
		if len(s.Taken) > 0 {
			all = append(all, s)
		}
	}
	return all
}

// addresses returns the addresses that l is reached on.
func (l Listener) addresses(host *Network) []netip.Addr {
	if !l.Addr.Addr().IsUnspecified() {
		return []netip.Addr{l.Addr.Addr()}
	}
	var all []netip.Addr
	for _, a := range host.Addresses {
		addr := a.Prefix.Addr()
		if addr.Is4() && l.Addr.Addr().Is6() && l.IPv6Only || addr.Is6() && l.Addr.Addr().Is4() {
			continue
		}
		all = append(all, addr)
	}
	return all
}

// problem says whose port is taken, and how to keep it.
func (s Shadow) problem(cfg *config.Config) config.Problem {
	p := config.Problem{File: cfg.Path, Key: "steering.unmatched"}
	if s.By.Route != nil {
		p.Line, p.Route, p.Key = s.By.Route.Line, s.By.Route.Name, "ports"
	}
	var prefixes []string
	for _, addr := range s.Taken {
		prefixes = append(prefixes, fmt.Sprintf("%q", addr))
	}
	port := s.Addr.Port()
	p.Text = fmt.Sprintf("takes %v port %d of %s from %s, which listens on %s: keep it with [route.keep-%v-%d] protocol = %q, prefixes = [%s], ports = [%d], action = \"pass\"; or give it up with shadow_listeners = true in [steering]",
		s.Protocol, port, s.Taken[0], s.Owner(), s.Addr, s.Protocol, port, s.Protocol, strings.Join(prefixes, ", "), port)
	return p
}

// Owner names the process, as far as it is known.
func (l Listener) Owner() string {
	if l.PID == 0 {
		return "another process"
	}
	return fmt.Sprintf("%s (pid %d)", l.Process, l.PID)
}
