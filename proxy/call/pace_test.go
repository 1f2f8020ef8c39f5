package call

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestPaceMeasures plays loops by a clock of its own, with short turns under load and bursts between long
// waits, and compares with the work of all turns. The measured turns must be few where turns are short.
func TestPaceMeasures(t *testing.T) {
	for name, test := range map[string]struct {
		work, wait func(turn int, r *rand.Rand) time.Duration
		within     float64 // of all work
		mostLooks  float64 // at the clock, a turn
	}{
		"under load": {
			func(_ int, r *rand.Rand) time.Duration { return time.Duration(5+r.IntN(100)) * time.Microsecond },
			func(_ int, r *rand.Rand) time.Duration { return time.Duration(r.IntN(20)) * time.Microsecond }, 0.05, 0.07},
		"without a pause": {
			func(_ int, r *rand.Rand) time.Duration { return time.Duration(r.IntN(2000)) * time.Microsecond },
			func(int, *rand.Rand) time.Duration { return 0 }, 0.05, 0.3},
		"bursts": {
			func(_ int, r *rand.Rand) time.Duration { return time.Duration(10+r.IntN(50)) * time.Microsecond },
			func(turn int, r *rand.Rand) time.Duration {
				if turn%20 == 0 {
					return 100 * time.Millisecond
				}
				return time.Duration(r.IntN(50)) * time.Microsecond
			}, 0.1, 0.11},
		"rare": {
			func(_ int, r *rand.Rand) time.Duration { return time.Duration(r.IntN(500)) * time.Microsecond },
			func(int, *rand.Rand) time.Duration { return 10 * time.Millisecond }, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			var p Pace
			var now, worked time.Duration
			looks := 0
			clock := func() time.Duration { looks++; return now }
			const turns = 20000
			for turn := range turns {
				now += test.wait(turn, r)
				began, work := now, test.work(turn, r)
				now += work
				worked += work
				p.Yield(began, clock)
			}
			if off := float64(p.Busy()-worked) / float64(worked); off > test.within || off < -test.within {
				t.Errorf("it worked for %v, and %v was measured", worked, p.Busy())
			}
			if perTurn := float64(looks) / turns; perTurn > test.mostLooks {
				t.Errorf("%.2f looks at the clock a turn, want at most %.2f", perTurn, test.mostLooks)
			}
		})
	}
}

// TestPaceNeverExceedsTheClock: a long turn among short ones is not counted for all of them.
func TestPaceNeverExceedsTheClock(t *testing.T) {
	var p Pace
	var now time.Duration
	clock := func() time.Duration { return now }
	for turn := range 1000 {
		began := now
		now += time.Microsecond
		if turn%mostTurns == mostTurns-1 {
			now += 100 * time.Millisecond
		}
		p.Yield(began, clock)
		if p.Busy() > now {
			t.Fatalf("turn %d: %v were measured in %v", turn, p.Busy(), now)
		}
	}
}
