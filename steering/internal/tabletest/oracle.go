package tabletest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"

	"anyport/config"
	"anyport/steering/table"
)

// Naive decides by the words of the reference: among the routes that take dst, the
// longest prefix, then the narrowest range; then the longest rule of allow and deny. UDP
// of an egress prefix is steered.
// tie reports two routes that are equal in all of it.
func Naive(cfg *config.Config, protocol config.Protocol, dst netip.AddrPort, client netip.Addr) (d table.Decision, tie bool) {
	served := false
	for _, r := range cfg.Routes {
		for _, prefix := range r.EgressPrefixes {
			if prefix.Contains(dst.Addr()) && protocol == config.UDP && dst.Port() > 0 {
				return table.Decision{Verdict: table.Steer}, false
			}
			served = served || prefix.Contains(dst.Addr())
		}
		for _, prefix := range r.Prefixes {
			if !prefix.Contains(dst.Addr()) {
				continue
			}
			served = true
			for _, ports := range r.Ports {
				if !r.Takes(protocol) || !ports.Contains(dst.Port()) || excepted(r, protocol, dst.Port()) {
					continue
				}
				switch {
				case d.Route == nil || prefix.Bits() > d.Prefix.Bits() ||
					prefix.Bits() == d.Prefix.Bits() && ports.Width() < d.Ports.Width():
					d, tie = table.Decision{Verdict: naiveVerdict(r, client), Route: r, Prefix: prefix, Ports: ports}, false
				case r != d.Route && prefix.Bits() == d.Prefix.Bits() && ports.Width() == d.Ports.Width():
					tie = true
				}
			}
		}
	}
	switch {
	case !served:
		d.Verdict = table.Pass
	case d.Route == nil:
		d.Verdict = table.VerdictOf(cfg.Steering.Unmatched)
	}
	return d, tie
}

func naiveVerdict(r *config.Route, client netip.Addr) table.Verdict {
	if client.IsValid() && !naiveAdmits(r, client.Unmap()) {
		return table.Deny
	}
	return table.VerdictOf(r.Action)
}

func naiveAdmits(r *config.Route, client netip.Addr) bool {
	if len(r.AcceptProxy) > 0 { // the kernel sees peers; allow and deny are for whom they name
		return slices.ContainsFunc(r.AcceptProxy, func(p netip.Prefix) bool { return p.Contains(client) })
	}
	longest, admits := -1, len(r.Allow) == 0
	for _, p := range r.Allow {
		if p.Contains(client) && p.Bits() > longest {
			longest, admits = p.Bits(), true
		}
	}
	for _, p := range r.Deny {
		if p.Contains(client) && p.Bits() >= longest {
			longest, admits = p.Bits(), false
		}
	}
	return admits
}

func excepted(r *config.Route, protocol config.Protocol, port uint16) bool {
	if r.ExceptReflectors && protocol == config.UDP && config.Reflector(port) != "" {
		return true
	}
	for _, e := range r.ExceptPorts {
		if e.Contains(port) {
			return true
		}
	}
	return false
}

// Dice makes tables and packets from few addresses and few ports, so that prefixes
// nest, ranges overlap and edges meet.
type Dice struct{ *rand.Rand }

// NewDice returns the same ones for the same seed.
func NewDice(seed uint64) Dice { return Dice{rand.New(rand.NewPCG(seed, 0))} }

// Config is a config whose routes do not tie.
func (d Dice) Config() *config.Config {
	cfg := &config.Config{Steering: config.Steering{Unmatched: d.unmatched()}}
	for range 1 + d.IntN(12) {
		r := d.Route(len(cfg.Routes))
		cfg.Routes = append(cfg.Routes, r)
		if d.Tied(cfg, r) {
			cfg.Routes = cfg.Routes[:len(cfg.Routes)-1]
		}
	}
	return cfg
}

// Tied reports whether routes tie on a prefix of r. What holds of ports changes only
// where a range begins, which is one of somePorts, or has ended, which is after one.
func (d Dice) Tied(cfg *config.Config, r *config.Route) bool {
	for _, p := range r.Prefixes {
		for _, edge := range somePorts {
			for _, port := range []uint16{edge, edge + 1} {
				if tiedAt(cfg, p, config.TCP, port) || tiedAt(cfg, p, config.UDP, port) {
					return true
				}
			}
		}
	}
	return false
}

// tiedAt looks at the routes of one prefix alone: a longer one may hide their tie
// from every address, and it is an error all the same.
func tiedAt(cfg *config.Config, prefix netip.Prefix, protocol config.Protocol, port uint16) bool {
	only := &config.Config{}
	for _, r := range cfg.Routes {
		for _, p := range r.Prefixes {
			if p == prefix {
				one := *r
				one.Prefixes = []netip.Prefix{p}
				only.Routes = append(only.Routes, &one)
			}
		}
	}
	_, tie := Naive(only, protocol, netip.AddrPortFrom(prefix.Addr(), port), netip.Addr{})
	return tie
}

// Route returns any route; i is in its name.
func (d Dice) Route(i int) *config.Route {
	r := &config.Route{
		Name:      fmt.Sprintf("r%d", i),
		Protocols: [][]config.Protocol{{config.TCP}, {config.UDP}, {config.TCP, config.UDP}}[d.IntN(3)],
		Prefixes:  d.prefixes(1+d.IntN(3), 8),
		Action:    []config.Action{config.Forward, config.Forward, config.Refuse, config.Drop, config.Pass}[d.IntN(5)],
		Denied:    []config.Action{config.Refuse, config.Drop}[d.IntN(2)],
	}
	r.Ports = d.ranges(1 + d.IntN(3))
	r.ExceptPorts = d.ranges(d.IntN(3))
	r.ExceptReflectors = d.IntN(3) == 0
	if d.IntN(2) == 0 {
		r.Allow, r.Deny = d.prefixes(d.IntN(4), 0), d.prefixes(d.IntN(4), 0)
	}
	if d.IntN(6) == 0 {
		r.AcceptProxy = d.prefixes(1+d.IntN(2), 0)
	}
	if d.IntN(4) == 0 {
		r.EgressPrefixes = egress[:d.IntN(1+len(egress))]
	}
	return r
}

// egress is apart from all other prefixes of the dice.
var egress = Prefixes("10.200.0.0/16", "10.200.3.0/24", "2001:db8:e::/48")

func (d Dice) unmatched() config.Action {
	return []config.Action{config.Refuse, config.Drop, config.Pass}[d.IntN(3)]
}

func (d Dice) prefixes(n, shortest int) []netip.Prefix {
	var all []netip.Prefix
	for range n {
		a := d.addr()
		bits := []int{0, 8, 15, 16, 23, 24, 30, 31, 32}[d.IntN(9)]
		if a.Is6() {
			bits *= 4
		}
		p := netip.PrefixFrom(a, max(bits, shortest)).Masked()
		all = append(all, p)
	}
	return all
}

// addr is one of 512 addresses, the outermost ones of several prefixes among them.
func (d Dice) addr() netip.Addr {
	n := d.Uint32()
	v4 := [4]byte{10, byte(n & 1), 1 + byte(n>>1&1), byte(n >> 2 & 3)}
	if n>>4&1 == 1 {
		v4[3] |= 0xfc
	}
	if n>>5&3 != 0 {
		return netip.AddrFrom4(v4)
	}
	v6 := [16]byte{0x20, 0x01, 0x0d, 0xb8}
	binary.BigEndian.PutUint32(v6[4:], n&3)
	v6[15] = v4[3]
	return netip.AddrFrom16(v6)
}

// Client is any of the addresses, or one mapped into IPv6, or none.
func (d Dice) Client() netip.Addr {
	a := d.addr()
	if d.IntN(4) == 0 {
		return netip.AddrFrom16(a.As16())
	}
	return a
}

// somePorts are the first and last of the ranges in play, and their neighbours.
var somePorts = []uint16{1, 2, 21, 22, 23, 53, 54, 79, 80, 81, 1023, 1024, 1025, 32767, 32768, 65533, 65534, 65535}

func (d Dice) port() uint16 { return somePorts[d.IntN(len(somePorts))] }

func (d Dice) ranges(n int) []config.PortRange {
	var all []config.PortRange
	for range n {
		a, b := d.port(), d.port()
		all = append(all, config.PortRange{First: min(a, b), Last: max(a, b)})
	}
	return all
}

// Protocol returns either.
func (d Dice) Protocol() config.Protocol {
	return []config.Protocol{config.TCP, config.UDP}[d.IntN(2)]
}

// Dst returns any dst, near the edges of ranges and prefixes.
func (d Dice) Dst() netip.AddrPort {
	port := d.port()
	if d.IntN(16) == 0 {
		return netip.AddrPortFrom(egress[d.IntN(len(egress))].Addr().Next(), port)
	}
	if d.IntN(4) == 0 {
		port = uint16(d.Uint32())
	}
	return netip.AddrPortFrom(d.addr(), port)
}
