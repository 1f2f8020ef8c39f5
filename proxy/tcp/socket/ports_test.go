package socket

import (
	"net/netip"
	"testing"

	"anyport/config"
)

func TestPortsAfter(t *testing.T) {
	p := Ports{config.PortRange{First: 100, Last: 104}, map[uint16]bool{101: true, 104: true}}
	four, six := netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("fd00::5")
	for _, c := range []struct {
		start, steps int
		source, to   netip.Addr
		want         string
	}{
		{0, 0, four, four, "10.0.0.5:100"},
		{0, 1, netip.Addr{}, four, "0.0.0.0:102"},
		{3, 0, netip.Addr{}, six, "[::]:103"},
		{3, 1, six, six, "[fd00::5]:100"},
		{65535, 3, netip.Addr{}, four, "0.0.0.0:103"},
	} {
		if got := p.After(c.start, c.steps, c.source, c.to); got.String() != c.want {
			t.Errorf("%d and %d after: %v, want %s", c.start, c.steps, got, c.want)
		}
	}
	none := Ports{config.PortRange{First: 100, Last: 100}, map[uint16]bool{100: true}}
	if got := none.After(0, 0, four, four).Port(); got != 100 {
		t.Errorf("where all are reserved: %d", got)
	}
}
