package integration

import (
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"
)

// TestNothingLeaks checks that conns and flows give back everything: afterwards the
// process has as many files open as after the first of each.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.both(t, "10.0.0.5:4000", named("origin"))
	p := r.edge.serveWith(t, `
[defaults]
udp_idle_timeout = "300ms"
[route.all]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.5:4000"]
`)
	round := func(ports uint16) {
		t.Helper()
		for port := range ports {
			dst := netip.AddrPortFrom(netip.MustParseAddr(dstV4), 1+port)
			for _, network := range []string{"tcp", "udp"} {
				if got := r.client.ask(network, dst, "origin"); got != "origin" {
					t.Fatalf("%s %v: %s", network, dst, got)
				}
			}
		}
		eventually(t, "all conns and flows have ended", func() bool { return p.status(t).route(t, "all").ConnsActive == 0 })
	}
	round(1)
	before := p.files(t)
	round(200)
	eventually(t, fmt.Sprintf("no more than %d files are open", before), func() bool { return p.files(t) <= before })
}

// files is how many files the process has open.
func (p *proxy) files(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

// eventually polls for a condition that no event reports.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("it never came true that %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
