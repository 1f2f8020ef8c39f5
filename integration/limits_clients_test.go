package integration

import (
	"net/netip"
	"testing"
)

// TestSources checks that a client that a route does not admit meets a closed port, or
// silence, before any accept, and that others are served.
func TestSources(t *testing.T) {
	for denied, want := range map[string]string{"refuse": refused, "drop": silent} {
		t.Run(denied, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.origin.both(t, "10.0.0.5:4000", named("origin"))
			p := r.edge.serveWith(t, `
[route.deny]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
ports    = [1]
origins  = ["10.0.0.5:4000"]
deny     = ["198.51.100.0/24", "2001:db8:c::/64"]
denied   = "`+denied+`"
[route.others]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
ports    = [2]
origins  = ["10.0.0.5:4000"]
allow    = ["203.0.113.0/24", "2001:db8:ffff::/48"]
denied   = "`+denied+`"
[route.longest]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
ports    = [3]
origins  = ["10.0.0.5:4000"]
allow    = ["198.51.100.2", "2001:db8:c::2"]
deny     = ["0.0.0.0/0", "::/0"]
denied   = "`+denied+`"
`)
			for _, dst := range []string{"192.0.2.7", "2001:db8:1::7"} {
				for port, want := range map[uint16]string{1: want, 2: want, 3: "origin"} {
					for _, network := range []string{"tcp", "udp"} {
						dst := netip.AddrPortFrom(netip.MustParseAddr(dst), port)
						if got := r.client.ask(network, dst, want); got != want {
							t.Errorf("%s %v: %s, want %s", network, dst, got, want)
						}
					}
				}
			}
			s := p.status(t)
			if got := s.route(t, "deny"); got.ConnsTotal != 0 || got.Denied < 4 {
				t.Errorf("a denied client was accepted, or not counted: %+v", got)
			}
			if got := s.route(t, "longest"); got.ConnsTotal != 4 || got.Denied != 0 {
				t.Errorf("the client that is allowed: %+v", got)
			}
		})
	}
}

// TestLimits checks that a route holds no more conns at once than max_conns.
func TestLimits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	p := r.edge.serveWith(t, `
[route.few]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.5"]
max_conns = 2
`)
	for range 2 {
		talk(t, r.client.dial(t, "tcp", dstV4+":4711"), "within the limit")
	}
	if third, err := r.client.tryDial("tcp", "", dstV4+":4711"); err == nil { // the reset may come a little later
		defer third.Close()
		if _, err := third.Read(make([]byte, 1)); err == nil {
			t.Error("a third conn was served")
		}
	}
	if got := p.status(t).route(t, "few"); got.ConnsActive != 2 || got.Limited != 1 {
		t.Errorf("status is %+v", got)
	}
}
