package program

import (
	"testing"

	"anyport/steering/netnstest"
)

func TestProbe(t *testing.T) {
	netnstest.InNamespace(t)
	features := Probe()
	if len(features) != len(probes) {
		t.Errorf("%d features of %d probes", len(features), len(probes))
	}
	for _, f := range features {
		if f.Err != nil {
			t.Errorf("%s: %v", f.Name, f.Err)
		}
	}
}
