package integration

import (
	"fmt"
	"testing"
)

// TestScanLeavesPorts: conns whose dst has a port of the ephemeral range keep the kernel
// from dialling from there. A client that has them all takes nobody's way to the origin.
func TestScanLeavesPorts(t *testing.T) {
	t.Parallel()
	const first, last = 40000, 40063
	r := newRig(t)
	if err := r.edge.Sysctl(map[string]string{"net/ipv4/ip_local_port_range": fmt.Sprint(first, " ", last)}); err != nil {
		t.Fatal(err)
	}
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
