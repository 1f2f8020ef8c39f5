package config

import (
	"slices"
	"strconv"
	"time"
)

// A KnockStep is an element of knock: a port, or [KnockSPA].
type KnockStep uint16

// KnockSPA is the word "spa": one authenticated datagram opens the door. No step is port 0.
const KnockSPA KnockStep = 0

// spaWord is how files write KnockSPA.
const spaWord = "spa"

// A sequence of two ports is guessed too easily. The kernel remembers a client's own ports of
// up to four steps (steer.bpf.c), and the last one opens the door.
const (
	fewestKnocks = 3
	mostKnocks   = 5
)

// Window bounds of a door.
const (
	shortestWindow = "1s"
	longestWindow  = "24h"
)

// Knock is what a client must do before a route admits it.
type Knock struct {
	Steps  []KnockStep   // ports in their order, or KnockSPA only; empty: nothing
	Window time.Duration // how long the door then is open to new conns of that client
}

// Needed reports whether the route admits nobody without a door.
func (k Knock) Needed() bool { return len(k.Steps) > 0 }

// SPA reports whether an authenticated datagram opens the door.
func (k Knock) SPA() bool { return slices.Contains(k.Steps, KnockSPA) }

// Ports is the sequence, nil where there is none.
func (k Knock) Ports() []uint16 {
	if k.SPA() {
		return nil
	}
	var ports []uint16
	for _, s := range k.Steps {
		ports = append(ports, uint16(s))
	}
	return ports
}

// TakesKnocks reports whether an authenticated datagram opens a door of c.
func (c *Config) TakesKnocks() bool {
	return slices.ContainsFunc(c.Routes, func(r *Route) bool { return r.Knock.SPA() })
}

// knockStep is a port or the word.
var knockStep = kind[KnockStep]{parseKnockStep, func(s KnockStep) string {
	if s == KnockSPA {
		return strconv.Quote(spaWord)
	}
	return strconv.Itoa(int(s))
}}

func parseKnockStep(value any) (KnockStep, error) {
	port, isPort := value.(int64)
	switch {
	case value == any(spaWord):
		return KnockSPA, nil
	case isPort && 0 < port && port <= 65535:
		return KnockStep(port), nil
	}
	return 0, newRefusal("KnockStep", value, "is not a port to knock", `write an integer from 1 to 65535, or ["spa"] for an authenticated datagram`)
}

// checkKnock checks what knock says by itself and against the route's own ports.
func checkKnock(t *table, r *Route) {
	switch steps := r.Knock.Steps; {
	case !r.Knock.Needed():
	case len(r.AcceptProxy) > 0:
		t.fault("knock", "cannot be combined with accept_proxy: knocks name the peer, not the client; remove one of the two")
	case r.Knock.SPA() && len(steps) > 1:
		t.fault("knock", `"spa" stands alone: write knock = ["spa"], or only ports`)
	case r.Knock.SPA():
	case len(steps) < fewestKnocks || len(steps) > mostKnocks:
		t.fault("knock", "has %d ports: write 3 to 5", len(steps))
	case isScan(steps):
		t.fault("knock", "a scan of all ports in their order would open it: do not write neighbouring ports only")
	default:
		checkKnockPorts(t, r)
	}
}

// isScan reports whether each port is the neighbour of the one before, all in one direction.
func isScan(steps []KnockStep) bool {
	up, down := true, true
	for i := 1; i < len(steps); i++ {
		up = up && int(steps[i]) == int(steps[i-1])+1
		down = down && int(steps[i]) == int(steps[i-1])-1
	}
	return up || down
}

// checkKnockPorts: a knock that the route took itself would reach the origin, and tell where
// the door is.
func checkKnockPorts(t *table, r *Route) {
	for _, port := range r.Knock.Ports() {
		for _, protocol := range r.Protocols {
			if r.takesPort(protocol, port) {
				t.fault("knock", "port %d is one of the route's own: add it to except_ports, or knock at another", port)
				return
			}
		}
	}
}

// takesPort reports whether r takes port by its ports and except_ports.
func (r *Route) takesPort(protocol Protocol, port uint16) bool {
	holds := func(p PortRange) bool { return p.Contains(port) }
	return r.Takes(protocol) && slices.ContainsFunc(r.Ports, holds) && !slices.ContainsFunc(r.Excepted(protocol), holds)
}

// checkKnocksApart reports sequences that share a port where both apply: which of the two
// a client means would not be known. The routes of one prefix are few, and so are the
// sequences of a file.
func checkKnocksApart(rep *report, routes []*Route) {
	var before []*Route
	for _, r := range routes {
		if len(r.Knock.Ports()) == 0 {
			continue
		}
		for _, b := range before {
			if port, shared := sharedKnock(b, r); shared && overlap(b, r) {
				rep.add(r.Name, "knock", "port %d is also in the knock of route %q (line %d), whose prefixes overlap: write other ports", port, b.Name, b.Line)
				break
			}
		}
		before = append(before, r)
	}
}

// sharedKnock returns a port that is in both sequences.
func sharedKnock(a, b *Route) (port KnockStep, shared bool) {
	for _, s := range a.Knock.Steps {
		if slices.Contains(b.Knock.Steps, s) {
			return s, true
		}
	}
	return 0, false
}

// overlap reports whether the two routes have addresses in common.
func overlap(a, b *Route) bool {
	for _, p := range a.Prefixes {
		for _, q := range b.Prefixes {
			if p.Overlaps(q) {
				return true
			}
		}
	}
	return false
}

// checkDoorbell checks that a route with "spa" can be knocked at.
func checkDoorbell(rep *report, cfg *Config) {
	port := uint16(cfg.Knock.Port)
	for _, r := range cfg.Routes {
		if !r.Knock.SPA() {
			continue
		}
		if cfg.Knock.Keys == "" {
			rep.add(r.Name, "knock", `"spa" needs keys: write keys = "/etc/anyport/knock.keys" in [knock]`)
		}
		for _, other := range cfg.Routes {
			if other.names(port) && overlap(r, other) {
				rep.add(other.Name, "ports", "udp port %d is where route %q (line %d) is knocked at: leave it out, or write another port in [knock]", port, r.Name, r.Line)
			}
		}
	}
}

// names reports whether r takes a UDP port by a range of its own.
func (r *Route) names(port uint16) bool {
	return r.takesPort(UDP, port) && slices.ContainsFunc(r.Ports, func(p PortRange) bool { return p.First == port && p.Last == port })
}
