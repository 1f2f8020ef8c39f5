package integration

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// egressTurns is how many questions a flow of TestEgress has: the kernel may forward it after eight.
const egressTurns = 14

// TestEgress checks flows that leave from addresses of a prefix, with the header first:
// their answers return, and none of them needs a file. Datagrams from other hosts are
// not delivered.
func TestEgress(t *testing.T) { onBothPaths(t, leavesByPrefix) }

func leavesByPrefix(t *testing.T, r *rig) {
	r.origin.route(t, "10.9.0.0/24", "10.0.0.1")
	r.origin.route(t, "fd00:9::/64", "fd00:5::1")
	p := r.edge.serveWith(t, `
[route.v4]
prefixes = ["192.0.2.0/24"]
protocol = "udp"
origins  = ["10.0.0.5"]
egress_prefixes = ["10.9.0.0/24"]
proxy_protocol = "v2-first"
[route.v6]
prefixes = ["2001:db8:1::/48"]
protocol = "udp"
origins  = ["fd00:5::5"]
egress_prefixes = ["fd00:9::/64"]
`)
	files := p.files(t)
	for _, one := range []struct{ origin, dst, egress string }{
		{"10.0.0.5:4711", "192.0.2.7:4711", "10.9.0.0/24"},
		{"[fd00:5::5]:4711", "[2001:db8:1::7]:4711", "fd00:9::/64"},
	} {
		egress := netip.MustParsePrefix(one.egress)
		seen := make(chan netip.AddrPort, 50*egressTurns)
		r.origin.answerTo(t, one.origin, func(datagram []byte, from netip.AddrPort) []byte {
			seen <- from
			return bytes.Clone(datagram)
		})
		for flow := range 50 {
			conn := r.client.dial(t, "udp", one.dst)
			for turn := range egressTurns {
				size := [...]int{100, 9000}[turn%2] // the second in fragments
				question := fmt.Sprintf("%d %d", flow, turn) + strings.Repeat("?", size)
				if got := trade(t, conn, question); !strings.HasSuffix(got, question) {
					t.Fatalf("%s: %d bytes came back, want the %d that were sent", one.dst, len(got), len(question))
				}
				if from := <-seen; !egress.Contains(from.Addr()) {
					t.Fatalf("the origin was asked from %v, which is not in %v", from, egress)
				}
			}
		}
		if got := r.origin.ask("udp", netip.AddrPortFrom(egress.Addr().Next(), 5000), silent); got != silent {
			t.Errorf("a stranger at %v: %s", egress, got)
		}
	}
	status := p.status(t)
	for _, name := range []string{"v4", "v6"} {
		if got := status.route(t, name); got.ConnsActive != 50 || got.Datagrams["to_client"]["forwarded"] != 50*egressTurns {
			t.Errorf("route %s: %+v", name, got)
		}
	}
	if now := p.files(t); now >= files+50 { // some answer clients and the command for status
		t.Errorf("%d files are open with 100 flows, %d before", now, files)
	}
}
