package steering

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/internal/tabletest"
	"anyport/steering/table"
)

// TestExplainLive asks the kernel for each thing that can become of a packet.
func TestExplainLive(t *testing.T) {
	cfg := everyAction()
	cfg.Routes = append(cfg.Routes, tabletest.Route("draining", "1-65535", "203.0.113.1"), tabletest.Route("left", "1-65535", "203.0.113.2"))
	cfg.Routes[len(cfg.Routes)-1].Drain = time.Hour
	s := open(t, cfg)
	setDrain(t, s, "draining", true)
	cfg.Routes = cfg.Routes[:len(cfg.Routes)-1]
	replace(t, s, cfg)
	for _, test := range []struct{ dst, client, want string }{
		{"192.0.2.1:80", "", `steer by route "forward"`},
		{"[::ffff:192.0.2.1]:80", "", `steer by route "forward"`},
		{"[2001:db8:1::1]:80", "198.51.100.1", `steer by route "forward"`},
		{"192.0.2.1:8080", "", `refuse`},
		{"192.0.2.2:80", "", `refuse by route "refuse"`},
		{"192.0.2.3:80", "", `drop by route "drop"`},
		{"192.0.2.4:80", "", `pass by route "pass"`},
		{"192.0.2.5:80", "", `steer by route "denied"`},
		{"192.0.2.5:80", "198.51.100.1", `deny by route "denied"`},
		{"192.0.2.5:80", "::ffff:198.51.100.1", `deny by route "denied"`},
		{"192.0.2.9:80", "", `pass`},
		{"203.0.113.1:80", "", `refuse by route "draining": it drains`},
		{"203.0.113.2:80", "", `refuse: 203.0.113.2/32 is not served any more; its old conns may live on until `},
		{"192.0.2.1:80", "2001:db8::1", `no packet goes from 2001:db8::1 to 192.0.2.1`},
	} {
		var client netip.Addr
		if test.client != "" {
			client = netip.MustParseAddr(test.client)
		}
		got := s.Explain(config.TCP, netip.MustParseAddrPort(test.dst), client)
		if len(got) != 1 || !strings.HasPrefix(got[0], test.want) || !strings.HasSuffix(test.want, " ") && got[0] != test.want {
			t.Errorf("%s from %q: %q, want %q", test.dst, test.client, got, test.want)
		}
	}
	checkCounted(t, s, "forward", table.Steer, 0) // to ask is no lookup
}

// TestExplainLiveWarns: of all that makes it other than the config says.
func TestExplainLiveWarns(t *testing.T) {
	s := open(t, tabletest.Managed("192.0.2.0/24"))
	dst := netip.MustParseAddrPort("192.0.2.1:80")
	check := func(want ...string) {
		t.Helper()
		if got := s.Explain(config.TCP, dst, netip.Addr{}); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	check(`steer by route "all"`)
	if err := s.Refuse(config.TCP); err != nil {
		t.Fatal(err)
	}
	check(`steer by route "all"`, "but no tcp socket takes it: it is refused")
	if err := s.loaded.Link.Detach(); err != nil {
		t.Fatal(err)
	}
	index := s.half(s.generation).FirstBinding() + 1
	if err := s.objects.Bindings.Put(index, bpf.SteerBinding{Verdict: bpf.SteerVerdictPASS}); err != nil {
		t.Fatal(err)
	}
	check(`pass, where the config in service has steer by route "all": somebody else has written to the maps; to have them filled again: anyport reload`, "but the program is detached")
}

// TestExplainLiveUnprivileged: as the process is once it serves.
func TestExplainLiveUnprivileged(t *testing.T) {
	cfg := tabletest.Managed("192.0.2.0/24")
	cfg.Steering.ManageRoutes = false
	s := open(t, cfg)
	drop(t)
	got := s.Explain(config.UDP, netip.MustParseAddrPort("192.0.2.1:80"), netip.Addr{})
	if !slices.Equal(got, []string{`steer by route "all"`}) {
		t.Errorf("%q", got)
	}
	setDrain(t, s, "all", true)
}
