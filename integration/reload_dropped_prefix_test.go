package integration

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// TestSettle checks a prefix that a reload removes: its conns and flows live on, new
// ones are refused, and once the last of the old ones has ended the prefix is not local
// any more, however long its drain_timeout.
func TestSettle(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.client.route(t, "203.0.113.0/24", edgeV4)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	r.origin.answer(t, "10.0.0.5:4711", named("origin"))
	both := strings.Replace(strings.Replace(twoRoutes, `"400ms"`, `"1h"`, 1), `"tcp"`+"\nprefixes = [\"203", `["tcp", "udp"]`+"\nprefixes = [\"203", 1)
	p := r.edge.serveWith(t, both)
	served := r.edge.routes(t)
	conn, flow := r.client.dial(t, "tcp", "203.0.113.9:4711"), r.client.dial(t, "udp", "203.0.113.9:4711")
	talk(t, conn, "before")
	trade(t, flow, "before")

	p.write(t, both[:strings.Index(both, "[route.gone]")])
	got := anyport(t, "reload", "--socket", p.socket)
	if got.status != 0 || !strings.Contains(got.stdout, "- route \"gone\", 2 live conns: to be reset after 1h0m0s\n") {
		t.Errorf("reload: %+v", got)
	}
	talk(t, conn, "after")
	if got := trade(t, flow, "after"); got != "origin after" {
		t.Errorf("the old flow: %q", got)
	}
	for network, want := range map[string]string{"tcp": refused, "udp": silent} {
		if got := r.client.ask(network, netip.MustParseAddrPort("203.0.113.9:4711"), want); got != want {
			t.Errorf("who is new over %s: %s, want %s", network, got, want)
		}
	}
	if now := r.edge.routes(t); !slices.Equal(now, served) {
		t.Errorf("while they live the routes are %v, want %v", now, served)
	}
	conn.Close() // the flow is taken for ended when it says nothing
	p.expect(t, "the last conn has ended")
	if now := r.edge.routes(t); len(now) != len(served)-1 {
		t.Errorf("in the end the routes are %v", now)
	}
}
