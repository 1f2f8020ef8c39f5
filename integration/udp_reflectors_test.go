package integration

import (
	"net/netip"
	"strings"
	"testing"
)

const reflectorsFile = `
[route.all]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.5:4000"]
`

// TestReflectors checks that a route on all ports also serves DNS and NTP, with a note
// by check and explain, and that "reflectors" in except_ports leaves them out: only
// over UDP, and for the route of a shorter prefix.
func TestReflectors(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.both(t, "10.0.0.5:4000", named("all"))
	r.origin.both(t, "10.0.0.6:4000", named("dns"))
	p := r.edge.serveWith(t, reflectorsFile)
	r.reach(t, "all", dstV4+":53", dstV4+":123", dstV4+":7777")
	got := anyport(t, "check", "-c", p.file)
	if got.status != 0 || !strings.Contains(got.stdout, "ok, 1 route") || !strings.Contains(got.stderr, `anyport: note: `+p.file) || !strings.Contains(got.stderr, `except_ports = ["reflectors"]`) {
		t.Errorf("check: %+v", got)
	}
	if got := anyport(t, "explain", "--socket", p.socket, "udp", dstV4+":53"); !strings.Contains(got.stdout, "\nnote: udp port 53 is dns") {
		t.Errorf("explain: %+v", got)
	}

	p.write(t, reflectorsFile+`except_ports = [22, "reflectors"]
[route.dns]
protocol = "udp"
prefixes = ["192.0.0.0/16"]
ports    = [53]
origins  = ["10.0.0.6:4000"]
`)
	if got := anyport(t, "reload", "--socket", p.socket); got.status != 0 || !strings.Contains(got.stdout, `~ except_ports: [] → [22, "reflectors"]`) {
		t.Fatalf("reload: %+v", got)
	}
	for _, c := range []struct{ network, dst, want string }{
		{"udp", dstV4 + ":7777", "all"},
		{"udp", dstV4 + ":123", refused},
		{"tcp", dstV4 + ":123", "all"},
		{"udp", dstV4 + ":53", "dns"},
		{"tcp", dstV4 + ":53", "all"},
		{"tcp", dstV4 + ":22", refused},
	} {
		if got := r.client.ask(c.network, netip.MustParseAddrPort(c.dst), c.want); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.network, c.dst, got, c.want)
		}
	}
	if got := anyport(t, "check", "-c", p.file); got.status != 0 || got.stderr != "" {
		t.Errorf("check with nothing to note: %+v", got)
	}
}
