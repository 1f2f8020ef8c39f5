package integration

import (
	"strings"
	"testing"
)

// TestTwoSockets checks that all ports of a prefix of each family, over TCP and UDP,
// need one socket of each kind. `drop` needs sockets that accept and never answer, at
// most one of each kind.
func TestTwoSockets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, unmatched string
		want            int
	}{{"forward", "refuse", 1}, {"drop", "drop", 2}} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.edge.serveWith(t, "[steering]\nunmatched = \""+c.unmatched+"\"\n"+`
[route.all]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24", "203.0.113.0/24", "2001:db8:1::/48"]
origins  = ["10.0.0.5"]
`)
			for _, protocol := range []string{"tcp", "udp"} {
				out := r.edge.output(t, "ss", "-Hnl", "--"+protocol)
				if got := strings.Count(out, "\n"); got != c.want {
					t.Errorf("ss shows %d %s sockets, want %d:\n%s", got, protocol, c.want, out)
				}
			}
		})
	}
}

// TestNoSideDoor checks that the listeners cannot be reached at their own ports.
func TestNoSideDoor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.edge.serveWith(t, `
[route.all]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.5:4000"]
`)
	r.origin.both(t, "10.0.0.5:4000", named("origin"))
	own := strings.Fields(r.edge.output(t, "ss", "-Hnl", "--tcp"))[3]
	_, port, _ := strings.Cut(own[strings.LastIndex(own, "]")+1:], ":")
	for _, address := range []string{edgeV4, "10.0.0.1", "[" + edgeV6 + "]"} {
		if _, err := r.client.tryDial("tcp", "", address+":"+port); err == nil || outcome(err) != refused {
			t.Errorf("port %s of %s: %v, want it refused", port, address, err)
		}
	}
}
