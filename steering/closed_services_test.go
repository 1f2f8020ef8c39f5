package steering

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/steering/internal/tabletest"
	"anyport/steering/program"
	"anyport/steering/table"
)

// mirroring has one route that mirrors what its origin refuses, and one that doesn't.
func mirroring() *config.Config {
	cfg := tabletest.Managed("192.0.2.0/24", "2001:db8:1::/48")
	cfg.Routes[0].MirrorClosed = true
	plain := tabletest.Route("plain", "1-65535", "198.51.100.0/24")
	cfg.Routes = append(cfg.Routes, plain)
	return cfg
}

func closeFor(t *testing.T, s *Steering, protocol config.Protocol, dst string, lasts time.Duration) {
	t.Helper()
	if err := s.MarkClosed(protocol, netip.MustParseAddrPort(dst), lasts); err != nil {
		t.Fatal(err)
	}
}

// TestClosed: one service is refused for a while, and nothing else is.
func TestClosed(t *testing.T) {
	s := open(t, mirroring())
	j := newJudge(t, s)
	for _, test := range []struct {
		protocol config.Protocol
		dst      string
		others   []string
	}{
		{config.TCP, "192.0.2.1:80", []string{"192.0.2.1:81", "192.0.2.2:80", "[2001:db8:1::1]:80"}},
		{config.UDP, "[2001:db8:1::1]:7777", []string{"[2001:db8:1::1]:7778", "[2001:db8:1::2]:7777", "192.0.2.1:7777"}},
	} {
		look := func(what string, protocol config.Protocol, dst string, want table.Verdict) {
			t.Helper()
			at := netip.MustParseAddrPort(dst)
			checkJudged(t, j, what+" "+dst, program.Packet{Protocol: protocol, Dst: at, Client: netip.AddrPortFrom(at.Addr(), 1024)}, want)
		}
		other := map[config.Protocol]config.Protocol{config.TCP: config.UDP, config.UDP: config.TCP}[test.protocol]
		closeFor(t, s, test.protocol, test.dst, time.Hour)
		look("closed", test.protocol, test.dst, table.Refuse)
		look("the other protocol", other, test.dst, table.Steer)
		for _, dst := range test.others {
			look("another", test.protocol, dst, table.Steer)
		}
		closeFor(t, s, test.protocol, test.dst, 0)
		closeFor(t, s, test.protocol, test.dst, 0) // it may have ended by itself
		look("open again", test.protocol, test.dst, table.Steer)
		closeFor(t, s, test.protocol, test.dst, time.Nanosecond)
		look("for a moment only", test.protocol, test.dst, table.Steer)
	}
	closeFor(t, s, config.TCP, "198.51.100.1:80", time.Hour)
	checkVerdicts(t, j, map[string]table.Verdict{"198.51.100.1:80": table.Steer}) // its route does not mirror
}

// TestClosedWithPackets: a conn that is there lives on; the process that closes has no
// capability any more; the next one knows.
func TestClosedWithPackets(t *testing.T) {
	cfg := mirroring()
	cfg.Steering.ManageRoutes = false
	s := open(t, cfg)
	for _, prefix := range []string{"192.0.2.0/24", "198.51.100.0/24"} {
		addLocal(t, prefix, unix.RTPROT_STATIC)
	}
	host := hostListeners(t, 80)
	const dst = "192.0.2.1:80"
	client, server := conn(t, s, dst)
	drop(t)
	closeFor(t, s, config.TCP, dst, time.Hour)
	closeFor(t, s, config.UDP, dst, time.Hour)
	check := func(s *Steering, when string) {
		t.Helper()
		if got := knockTCP(t, s, netip.MustParseAddrPort(dst)); got != table.Refuse {
			t.Errorf("%s: tcp %s", when, got)
		}
		if got := knockUDP(t, s, host, netip.MustParseAddrPort(dst)); got != table.Refuse {
			t.Errorf("%s: udp %s", when, got)
		}
		checkAlive(t, client, server)
	}
	check(s, "when told")
	if got := s.Explain(config.TCP, netip.MustParseAddrPort(dst), netip.Addr{}); !slices.Equal(got, []string{`refuse by route "all": its origin has refused that, 1h0m0s more`}) {
		t.Errorf("%q", got)
	}
	next := inherit(t, cfg, copies(t, s.Handover()))
	if err := s.Release(); err != nil {
		t.Fatal(err)
	}
	check(next, "in the next process")
}
