package route

import (
	"testing"
	"time"

	"anyport/config"
)

// TestSampling: a share of the normal ends is recorded, all lines of a conn alike, and everything else
// always.
func TestSampling(t *testing.T) {
	const n = 100_000
	ids := NewIDs()
	r := &Recording{To: func(Record) {}, Progress: time.Second, Share: 0.1}
	wanted, seen := 0, map[ID]bool{}
	for range n {
		id := ids.Next()
		if seen[id] {
			t.Fatalf("%v is the id of two conns", id)
		}
		seen[id] = true
		normal := r.Wants(id, config.TCP, Closed, 1)
		if normal {
			wanted++
		}
		if normal != r.WantsProgress(id) || normal != r.Wants(id, config.UDP, IdleTimedOut, 1) {
			t.Fatalf("%v: the lines of one conn are not all wanted or all left out", id)
		}
		for v := range Verdicts {
			if !Normal(config.TCP, v, 1) && !r.Wants(id, config.TCP, v, 1) || !r.Wants(id, config.TCP, v, 2) {
				t.Fatalf("%v: %v is left out", id, v)
			}
		}
	}
	if wanted < n/10-n/50 || wanted > n/10+n/50 {
		t.Errorf("%d of %d are wanted, want a tenth", wanted, n)
	}
	if off := (&Recording{Share: 1, Progress: 1}); off.Wants(1, config.TCP, Denied, 0) || off.WantsProgress(1) {
		t.Error("without an access log something is recorded")
	}
}

// TestNextProgress: the moments are multiples of the interval, counted from the begin.
func TestNextProgress(t *testing.T) {
	r := &Recording{To: func(Record) {}, Progress: 10, Share: 1}
	for _, c := range []struct{ began, now, want time.Duration }{
		{3, 3, 13}, {3, 12, 13}, {3, 13, 23}, {-25, 0, 5}, {-25, 5, 15}, {3, 0, 13},
	} {
		if got, ok := r.NextProgress(1, c.began, c.now); got != c.want || !ok {
			t.Errorf("began at %d, now %d: %d, want %d", c.began, c.now, got, c.want)
		}
	}
}
