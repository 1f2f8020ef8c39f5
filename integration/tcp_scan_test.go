package integration

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// TestScanLeavesPorts checks a client that asks for all ports: conns whose dst has a
// port of the ephemeral range keep the kernel from dialling from that port. Other
// clients' conns must still reach the origin.
func TestScanLeavesPorts(t *testing.T) {
	t.Parallel()
	const first, last = 40000, 40063
	r := newRig(t)
	r.edge.dialFrom(t, first, last)
	for port := first; port <= last; port++ {
		r.origin.serve(t, fmt.Sprintf("10.0.0.5:%d", port), echo)
	}
	r.origin.serve(t, "10.0.0.5:80", echo)
	p := r.edge.serveWith(t, fmt.Sprintf("[route.all]\nprotocol = \"tcp\"\nprefixes = [%q]\norigins = [\"10.0.0.5\"]\n", servedV4))
	for port := first; port <= last; port++ {
		talk(t, r.client.dial(t, "tcp", fmt.Sprintf("%s:%d", dstV4, port)), "scanned")
	}
	const more = 16
	for range more {
		talk(t, r.client.dial(t, "tcp", dstV4+":80"), "hello")
	}
	if all := p.status(t).route(t, "all"); all.ConnsActive != last-first+1+more {
		t.Errorf("%d conns live, want %d", all.ConnsActive, last-first+1+more)
	}
}

// TestDialledItself checks a socket that dials a port of its own host where nobody
// listens: the kernel may give it that very port, and then it is connected to itself.
// The client is reset as usual, and does not get its own data back.
func TestDialledItself(t *testing.T) {
	t.Parallel()
	const first, last = 40000, 40007
	r := newRig(t)
	r.edge.dialFrom(t, first, last)
	r.edge.serveWith(t, fmt.Sprintf("[route.all]\nprotocol = \"tcp\"\nprefixes = [%q]\nports = [\"80-87\"]\norigins = [\"10.0.0.1:%d-%d\"]\n", servedV4, first, last))
	for i := range 128 {
		dst := netip.AddrPortFrom(netip.MustParseAddr(dstV4), uint16(80+i%(last-first+1)))
		if got := r.client.ask("tcp", dst, refused); got != refused && !strings.Contains(got, "reset by peer") {
			t.Fatalf("who asks %v meets %q", dst, got)
		}
	}
}
