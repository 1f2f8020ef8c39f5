package steering

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/bpfmaps"
	"anyport/steering/internal/tabletest"
)

// TestDrift: nothing differs after reloads of all kinds.
func TestDrift(t *testing.T) {
	s := open(t, everyAction())
	checkDrift(t, s)
	for seed := range uint64(20) {
		replace(t, s, tabletest.NewDice(seed).Config())
		checkDrift(t, s)
	}
	replace(t, s, draining(time.Hour, "192.0.2.0/24", "2001:db8:1::/48"))
	replace(t, s, draining(time.Hour, "198.51.100.0/24"))
	if len(s.retired) != 2 {
		t.Fatal("no prefix is retired")
	}
	setDrain(t, s, "all", true)
	checkDrift(t, s)
}

func checkDrift(t *testing.T, s *Steering, want ...string) {
	t.Helper()
	if got, err := s.Drift(); err != nil || !slices.Equal(got, want) {
		t.Errorf("drift %q, %v, want %q", got, err, want)
	}
}

// TestDriftIsNamed: whatever somebody else writes to the maps.
func TestDriftIsNamed(t *testing.T) {
	cfg := tabletest.Managed("192.0.2.0/24", "2001:db8:1::/48")
	cfg.Routes[0].Deny = tabletest.Prefixes("198.51.100.0/24")
	s := open(t, cfg)
	h := s.half(s.generation)
	more := tabletest.Compile(t, tabletest.Route("all", "1-65535", "203.0.113.0/24", "2001:db8:2::/48"))
	if err := errors.Join(
		bpfmaps.Put(h.Maps.PrefixesV4, h.V4Entries(more)),
		bpfmaps.Put(h.Maps.PrefixesV6, h.V6Entries(more)),
		bpfmaps.Remove(h.Maps.PrefixesV4, h.V4Entries(s.table)),
		h.Maps.Sources.Put(bpfmaps.ClientKey(h.ClientList(1), tabletest.Prefixes("198.51.100.0/24")[0]), uint32(1)),
		h.Maps.Bindings.Put(h.FirstBinding(), bpf.SteerBinding{Verdict: bpf.SteerVerdictPASS}),
		h.Maps.Intervals.Put(h.FirstInterval()+1, bpf.SteerInterval{Lo: 7}),
		s.Refuse(config.UDP),
	); err != nil {
		t.Fatal(err)
	}
	checkDrift(t, s,
		`client prefix 198.51.100.0/24 of route "all": something else is in the kernel`,
		`port interval 1: something else is in the kernel`,
		`prefix 192.0.2.0/24: it is not in the kernel`,
		`prefix 2001:db8:2::/48: it is in the kernel, and not in the config in service`,
		`prefix 203.0.113.0/24: it is in the kernel, and not in the config in service`,
		`the udp socket is not in its slot`,
		`what no route takes: something else is in the kernel`,
	)
	if err := s.flip(s.generation + 1); err != nil {
		t.Fatal(err)
	}
	checkDrift(t, s, fmt.Sprintf("generation %d is in service, and not %d", s.generation+1, s.generation))
}

// TestMuchDrift: it is reported in a bounded number of lines.
func TestMuchDrift(t *testing.T) {
	var on []string
	for i := range 100 {
		on = append(on, fmt.Sprintf("10.0.%d.0/24", i))
	}
	cfg := tabletest.Managed(on...)
	cfg.Steering.ManageRoutes = false
	s := open(t, cfg)
	h := s.half(s.generation)
	if err := bpfmaps.Remove(h.Maps.PrefixesV4, h.V4Entries(s.table)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Drift(); err != nil || len(got) != 21 || got[20] != "and 80 more" {
		t.Errorf("%q, %v", got, err)
	}
}
