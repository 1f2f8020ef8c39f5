package steering

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/steering/internal/tabletest"
	"anyport/steering/table"
)

// TestRetiredPrefixes: conns on a prefix that a reload drops live on for their drain_timeout,
// while new ones are refused; then its routes are removed.
func TestRetiredPrefixes(t *testing.T) {
	loopback := []string{"127.0.0.0/8", "127.0.0.1/32", "::1/128"}
	s := open(t, draining(time.Hour, "192.0.2.0/24", "198.51.100.0/24"))
	hostListeners(t, 80)
	client, server := conn(t, s, "192.0.2.1:80")

	replace(t, s, draining(time.Hour, "198.51.100.0/24", "192.0.2.128/25"))
	checkLocal(t, append(loopback, "192.0.2.0/24", "192.0.2.128/25", "198.51.100.0/24"))
	checkVerdicts(t, newJudge(t, s), map[string]table.Verdict{"192.0.2.1:80": table.Refuse, "192.0.2.200:80": table.Steer, "198.51.100.1:80": table.Steer, "203.0.113.1:80": table.Pass})
	checkAlive(t, client, server)
	if d := s.table.Decide(config.TCP, netip.MustParseAddrPort("192.0.2.1:80"), netip.Addr{}); d.Verdict != table.Refuse {
		t.Errorf("the table in service says %s", d.Verdict)
	}

	if err := s.dropExpired(time.Now().Add(time.Hour - time.Minute)); err != nil {
		t.Fatal(err)
	}
	replace(t, s, draining(0, "198.51.100.0/24", "192.0.2.128/25")) // another reload does not begin the hour again
	until := s.retired[netip.MustParsePrefix("192.0.2.0/24")]
	if until.IsZero() || until.After(time.Now().Add(time.Hour)) {
		t.Errorf("it is retired until %v", until)
	}
	if err := s.DropRetired(); err != nil {
		t.Fatal(err)
	}
	checkLocal(t, append(loopback, "192.0.2.128/25", "198.51.100.0/24"))
	checkEmptyHalf(t, s)
	replace(t, s, draining(0, "192.0.2.128/25")) // by the half that had it
	checkVerdicts(t, newJudge(t, s), map[string]table.Verdict{"192.0.2.1:80": table.Pass, "192.0.2.200:80": table.Steer})
}

// TestRetiredPrefixesEnd: no longer than drain_timeout, and not when the prefix comes back.
func TestRetiredPrefixesEnd(t *testing.T) {
	prefix := netip.MustParsePrefix("192.0.2.0/24")
	s := open(t, draining(time.Minute, "192.0.2.0/24"))
	replace(t, s, draining(time.Hour))
	if until := s.retired[prefix]; until.After(time.Now().Add(time.Minute)) || !until.After(time.Now()) {
		t.Errorf("it is retired until %v: the drain_timeout is that of the route it had", until)
	}
	replace(t, s, draining(time.Hour, "192.0.2.0/24"))
	if len(s.retired) > 0 {
		t.Errorf("%v is retired, though it is served", s.retired)
	}
	replace(t, s, draining(0))
	if err := s.dropExpired(time.Now().Add(2 * time.Hour)); err != nil {
		t.Fatal(err)
	}
	checkLocal(t, []string{"127.0.0.0/8", "127.0.0.1/32", "::1/128"})
}

// draining serves the prefixes, with this drain_timeout.
func draining(timeout time.Duration, on ...string) *config.Config {
	cfg := tabletest.Managed(on...)
	cfg.Routes[0].Drain = timeout
	return cfg
}

// conn returns both ends of a conn to dst, as the client and as our listener has it.
func conn(t *testing.T, s *Steering, dst string) (client net.Conn, server int) {
	t.Helper()
	client, err := net.Dial("tcp", dst)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if server, _, err = unix.Accept(s.TCP()[0]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(server) })
	return client, server
}

// checkAlive sends a byte from the server to the client.
func checkAlive(t *testing.T, client net.Conn, server int) {
	t.Helper()
	if _, err := unix.Write(server, []byte("x")); err != nil {
		t.Fatal(err)
	}
	client.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := client.Read(make([]byte, 1)); err != nil {
		t.Errorf("a conn that should live on: %v", err)
	}
}

// TestRetiredPrefixesFlows: the datagrams of a prefix that a reload drops go on to the proxy,
// where the route had UDP, also after one more reload, and not for ever.
func TestRetiredPrefixesFlows(t *testing.T) {
	cfg := draining(time.Hour, "192.0.2.0/24")
	conns := tabletest.Route("conns", "1-65535", "198.51.100.0/24")
	conns.Drain = time.Hour
	flows := tabletest.Route("flows", "53", "203.0.113.0/24")
	flows.Protocols, flows.Drain = []config.Protocol{config.UDP}, time.Hour
	cfg.Routes = append(cfg.Routes, conns, flows)
	s := open(t, cfg)
	check := func(want map[string]table.Verdict) {
		t.Helper()
		j := newJudge(t, s)
		for text, verdict := range want {
			dst := netip.MustParseAddrPort(text)
			if got := j.verdict(t, config.UDP, dst, dst.Addr()); got != verdict {
				t.Errorf("udp %s: %s, want %s", dst, got, verdict)
			}
			if got := s.table.Decide(config.UDP, dst, netip.Addr{}).Verdict; got != verdict {
				t.Errorf("the table says of udp %s: %s, want %s", dst, got, verdict)
			}
		}
		if drift, err := s.Drift(); err != nil || len(drift) > 0 {
			t.Errorf("drift: %v, %v", drift, err)
		}
	}
	gone := map[string]table.Verdict{"192.0.2.1:5000": table.Steer, "198.51.100.1:5000": table.Refuse, "203.0.113.1:5000": table.Steer}
	for range 2 {
		replace(t, s, draining(0, "192.0.2.128/25"))
		check(gone)
	}
	checkVerdicts(t, newJudge(t, s), map[string]table.Verdict{"192.0.2.1:5000": table.Refuse, "203.0.113.1:5000": table.Refuse})
	if !s.HasRetired() {
		t.Error("no prefix is retired")
	}
	if err := s.DropRetired(); err != nil {
		t.Fatal(err)
	}
	check(map[string]table.Verdict{"192.0.2.1:5000": table.Pass, "198.51.100.1:5000": table.Pass, "203.0.113.1:5000": table.Pass, "192.0.2.129:5000": table.Steer})
	if s.HasRetired() {
		t.Error("a prefix is still retired after DropRetired")
	}
}
