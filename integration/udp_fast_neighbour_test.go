package integration

import (
	"bytes"
	"testing"
)

// TestOriginLeavesNetwork: the address of an origin goes from its network, and nothing but the end of the neighbour
// entry tells. A flow goes on with the other origin, whether the kernel forwards it or user space.
func TestOriginLeavesNetwork(t *testing.T) {
	onBothPaths(t, func(t *testing.T, r *rig) {
		for _, origin := range []string{"10.0.0.5:4711", "10.0.0.6:4711"} {
			r.origin.answer(t, origin, bytes.Clone)
		}
		p := r.edge.serveWith(t, `
[route.game]
protocol = "udp"
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.6", "10.0.0.5"]
balance  = "first"
`)
		conn := r.client.dial(t, "udp", dstV4+":4711")
		warm(t, conn)
		r.origin.run(t, "ip addr del 10.0.0.6/24 dev edge0")
		r.edge.run(t, "ip neigh flush dev origin0")
		eventually(t, "the flow goes on with the other origin", func() bool { return heard(conn, "anybody?", silence) })
		if f := p.udpFlows(t)[conn.LocalAddr().String()]; f.Origin != "10.0.0.5:4711" {
			t.Errorf("the flow is %+v", f)
		}
	})
}
