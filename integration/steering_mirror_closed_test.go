package integration

import (
	"net/netip"
	"testing"
)

// TestMirrorClosed checks that a port that the origin does not have looks closed to the
// second and later clients, over TCP and UDP, that other ports are not affected, and
// that the port works again once the origin opens it.
func TestMirrorClosed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.both(t, "10.0.0.5:4000", named("origin"))
	p := r.edge.serveWith(t, `
[route.all]
prefixes = ["192.0.2.0/24"]
protocol = ["tcp", "udp"]
origins  = ["10.0.0.5"]
mirror_closed = true
`)
	closed, open := netip.MustParseAddrPort(dstV4+":4001"), netip.MustParseAddrPort(dstV4+":4000")
	for _, network := range []string{"tcp", "udp"} {
		before := p.status(t).route(t, "all").Refused
		eventually(t, network+" is refused by the kernel", func() bool {
			r.client.ask(network, closed, silent)
			return p.status(t).route(t, "all").Refused > before
		})
		if got := r.client.ask(network, open, "origin"); got != "origin" {
			t.Errorf("%s %v: %s", network, open, got)
		}
	}
	r.origin.both(t, "10.0.0.5:4001", named("again"))
	for _, network := range []string{"tcp", "udp"} {
		eventually(t, network+" is served again", func() bool { return r.client.ask(network, closed, silent) == "again" })
	}
}
