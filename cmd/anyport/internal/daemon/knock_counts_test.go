package daemon

import (
	"testing"

	"anyport/cmd/anyport/internal/knock"
	"anyport/proxy"
)

// TestKnockCountsGoOn: the next process goes on from what this one has counted, by its verdicts.
func TestKnockCountsGoOn(t *testing.T) {
	before, after := &daemon{doorbell: newDoorbell()}, &daemon{doorbell: newDoorbell()}
	before.doorbell.counts[knock.Opened].Add(3)
	before.doorbell.counts[knock.Replayed].Add(2)
	after.doorbell.counts[knock.Opened].Add(1)
	before.doorbell.each(after.addCounter)
	after.addCounter(proxy.CounterID{Key: keyKnocks + "of a later version"}, 9)
	got := after.knockCounts()
	if got[string(knock.Opened)] != 4 || got[string(knock.Replayed)] != 2 || len(got) != 2 {
		t.Errorf("the next process counts %v", got)
	}
}
