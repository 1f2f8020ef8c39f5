package integration

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// TestOneClientFillsTheTable has one client take every flow there is, all answered by
// the origin. Another client's question is still answered and displaces the first
// client's oldest flow; clients that have shown that they are there keep their flows.
// By default one client gets a sixteenth, and no flow gives way.
func TestOneClientFillsTheTable(t *testing.T) {
	t.Parallel()
	const flows = 64
	for _, c := range []struct {
		name, key string
		evicts    string // verdict of flows that end for those of the greedy one
		has       int    // flows of the greedy one
	}{
		{"without its own bound", fmt.Sprintf("max_flows_per_client = %d\n", 10*flows), "evicted", flows - 2},
		{"by default", "", "evicted", flows / 16},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.client.output(t, "ip", "address", "add", "198.51.100.3/24", "dev", "edge0")
			r.client.output(t, "ip", "address", "add", "198.51.100.4/24", "dev", "edge0")
			r.origin.answer(t, "10.0.0.5:4711", named("origin"))
			p := r.edge.serveWith(t, fmt.Sprintf("[listen]\nmax_flows = %d\n", flows)+bareFile+c.key)
			old := r.client.talker(t, "198.51.100.3")
			for range 9 { // the ninth datagram is the eighth turn
				old.says(t, "still here")
			}
			for range 2 * flows {
				r.client.talker(t, clientV4).says(t, "greed")
			}
			r.client.talker(t, "198.51.100.4").says(t, "a modest question")
			old.says(t, "and still here")
			status := p.status(t).route(t, "all")
			if status.ConnsActive != c.has+2 || status.Ended["udp"][c.evicts] != uint64(2*flows-c.has) {
				t.Errorf("%d flows live, and ended %v; want %d of the greedy client and 2 others", status.ConnsActive, status.Ended["udp"], c.has)
			}
			began := 0
			for line := range strings.Lines(anyport(t, "flows", "--socket", p.socket).stdout) {
				if strings.Contains(line, old.LocalAddr().String()) {
					began++
				}
			}
			if began != 1 {
				t.Errorf("%d flows of the client that has shown that it is there", began)
			}
		})
	}
}

// TestFlowsPerClient has a client hold as many flows as it may, all shown. One more is
// refused, also from another address of an IPv6 client, and counted under its own
// verdict. Another client is served. Each worker counts separately, since a client
// belongs to one worker.
func TestFlowsPerClient(t *testing.T) {
	t.Parallel()
	const most = 3
	for _, c := range []struct{ first, same, other, dst string }{
		{clientV4, clientV4, "198.51.100.3", dstV4},
		{clientV6, "2001:db8:c::3", "2001:db8:d::3", dstV6},
	} {
		t.Run(c.first, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.origin.answer(t, "10.0.0.5:4711", named("origin"))
			r.client.output(t, "ip", "address", "replace", "2001:db8:c::3/64", "dev", "edge0", "nodad")
			r.client.output(t, "ip", "address", "add", "198.51.100.3/24", "dev", "edge0")
			r.client.output(t, "ip", "address", "add", "2001:db8:d::3/64", "dev", "edge0", "nodad")
			r.edge.route(t, "2001:db8:d::/64", clientV6)
			p := r.edge.serveWith(t, "[listen]\nworkers = 2\n"+bareFile+fmt.Sprintf("max_flows_per_client = %d\n", most))
			talk := func(from string) *talker { return r.client.talkerTo(t, from, c.dst) }
			for range most {
				one := talk(c.first)
				for range 9 {
					one.says(t, "here")
				}
			}
			one := talk(c.same)
			if _, err := one.Write([]byte("one too many")); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it is refused", func() bool {
				return p.status(t).route(t, "all").Ended["udp"]["max_flows_per_client"] == 1
			})
			talk(c.other).says(t, "somebody else")
			if status := p.status(t).route(t, "all"); status.Limited != 1 || status.ConnsActive != most+1 {
				t.Errorf("%d flows live, %d counted as limited", status.ConnsActive, status.Limited)
			}
		})
	}
}

// talker is a client's socket, whose every datagram is to be answered.
type talker struct{ net.Conn }

func (h *host) talker(t *testing.T, from string) *talker { return h.talkerTo(t, from, dstV4) }

func (h *host) talkerTo(t *testing.T, from, dst string) *talker {
	t.Helper()
	conn, err := h.tryDial("udp", from, net.JoinHostPort(dst, "4711"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &talker{conn}
}

func (c *talker) says(t *testing.T, text string) {
	t.Helper()
	if got := trade(t, c, text); got != "origin "+text {
		t.Fatalf("%v was answered %q", c.LocalAddr(), got)
	}
}
