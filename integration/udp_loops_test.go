package integration

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
)

// TestLoops forges datagrams that would go round forever: a question from a served
// address, so that the answer is again a question, and one from the port of a server
// that answers everything, as the origin does. It uses IPv6, where the kernel does not
// filter forged sources.
func TestLoops(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.answer(t, "[fd00:5::5]:4000", bytes.Clone)
	p := r.edge.serveWith(t, `
[route.all]
prefixes = ["2001:db8:1::/48"]
protocol = "udp"
origins  = ["[fd00:5::5]:4000"]
`)
	for source, verdict := range map[string]string{
		"[2001:db8:1::9]:5000": "looped", "[" + clientV6 + "]:7": "responder",
	} {
		forger := r.client.answer(t, source, bytes.Clone)
		if _, err := forger.WriteTo([]byte("once"), net.UDPAddrFromAddrPort(netip.MustParseAddrPort("["+dstV6+"]:6000"))); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a datagram counts as "+verdict, func() bool {
			return p.status(t).route(t, "all").Datagrams["to_origin"][verdict] == 1
		})
	}
	got := p.status(t).route(t, "all")
	if got.Datagrams["to_origin"]["forwarded"] != 1 || got.Datagrams["to_client"]["forwarded"] != 1 {
		t.Errorf("want the one question with its one answer: %+v", got)
	}
}
