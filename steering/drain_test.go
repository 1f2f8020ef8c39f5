package steering

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"anyport/config"
	"anyport/steering/internal/tabletest"
	"anyport/steering/program"
	"anyport/steering/table"
)

// TestDrain: new conns are refused, those that are there live on, flows are user
// space's; it outlives reloads and the process, and can be undone.
func TestDrain(t *testing.T) {
	cfg := tabletest.Managed("192.0.2.0/24")
	cfg.Routes = append(cfg.Routes, tabletest.Route("other", "1-65535", "198.51.100.0/24"))
	s := open(t, cfg)
	j := newJudge(t, s)
	conn, flow := from(config.TCP, 1024), from(config.UDP, 1024)
	other := program.Packet{Protocol: config.TCP, Dst: netip.MustParseAddrPort("198.51.100.1:80"), Client: conn.Client}
	drained := func(s *Steering, when string) {
		t.Helper()
		checkJudged(t, j, when, conn, table.Refuse)
		checkJudged(t, j, when, flow, table.Steer)
		checkJudged(t, j, when, other, table.Steer)
		if status, err := s.Status(); err != nil || !slices.Equal(status.Draining, []string{"all"}) {
			t.Errorf("%s: draining %q, %v", when, status.Draining, err)
		}
	}
	setDrain(t, s, "all", true)
	drained(s, "when told")
	slices.Reverse(cfg.Routes)
	replace(t, s, cfg)
	drained(s, "after a reload")
	next := inherit(t, cfg, copies(t, s.Handover()))
	if err := s.Release(); err != nil {
		t.Fatal(err)
	}
	j = newJudge(t, next)
	drained(next, "in the next process")
	setDrain(t, next, "all", false)
	checkJudged(t, j, "undone", conn, table.Steer)

	setDrain(t, next, "all", true)
	replace(t, next, &config.Config{Routes: cfg.Routes[:1]})
	replace(t, next, cfg)
	checkJudged(t, j, "out of service, and back", conn, table.Steer)
}

func setDrain(t *testing.T, s *Steering, route string, on bool) {
	t.Helper()
	if err := s.RefuseConns(route, on, false); err != nil {
		t.Fatal(err)
	}
}

// TestDrainWithPackets: a conn that is there doesn't notice.
func TestDrainWithPackets(t *testing.T) {
	s := open(t, tabletest.Managed("192.0.2.0/24"))
	dst := netip.MustParseAddrPort("192.0.2.1:80")
	client, server := conn(t, s, dst.String())
	setDrain(t, s, "all", true)
	if got := knockTCP(t, s, dst); got != table.Refuse {
		t.Errorf("a new conn: %s", got)
	}
	checkAlive(t, client, server)
	setDrain(t, s, "all", false)
	if got := knockTCP(t, s, dst); got != table.Steer {
		t.Errorf("a new conn, undone: %s", got)
	}
}

func TestDrainOfNothing(t *testing.T) {
	s := open(t, everyAction())
	if err := s.RefuseConns("none", true, false); err == nil || !strings.Contains(err.Error(), `no route "none" is in service`) {
		t.Error(err)
	}
	for _, name := range []string{"refuse", "drop", "pass"} {
		setDrain(t, s, name, true)
	}
	checkVerdicts(t, newJudge(t, s), map[string]table.Verdict{"192.0.2.2:80": table.Refuse, "192.0.2.3:80": table.Drop, "192.0.2.4:80": table.Pass})
}
