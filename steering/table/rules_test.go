package table_test

import (
	"math"
	"testing"

	"anyport/config"
	"anyport/steering/internal/tabletest"
)

// TestRoomToRemember: handshakes of some seconds, and the flows that there can be.
func TestRoomToRemember(t *testing.T) {
	for _, test := range []struct {
		protocols []config.Protocol
		perSecond int
		maxFlows  int
		want      int
	}{
		{[]config.Protocol{config.TCP}, 0, 0, 0},
		{[]config.Protocol{config.TCP}, 100, 0, 1000},
		{[]config.Protocol{config.TCP}, 1e9, 0, 1 << 16},
		{[]config.Protocol{config.UDP}, 100, 0, 1 << 16},
		{[]config.Protocol{config.UDP}, 100, 2000, 2000},
		{[]config.Protocol{config.UDP}, 100, math.MaxInt32, 1 << 18},
		{[]config.Protocol{config.TCP, config.UDP}, 100, 2000, 3000},
	} {
		r := tabletest.Route("r", "80", "192.0.2.1")
		r.Protocols, r.NewConnsPerSecond, r.MaxFlows = test.protocols, test.perSecond, test.maxFlows
		if got := tabletest.Compile(t, r).Admissions(); got != test.want {
			t.Errorf("%+v: %d", test, got)
		}
	}
}
