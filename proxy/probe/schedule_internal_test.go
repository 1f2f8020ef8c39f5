package probe

import (
	"testing"
	"time"

	"anyport/config"
)

// TestManyChecksAreSpread: the first checks of thousands of origins come within a second of a reload.
// From then on they are spread over the interval, and none is later than its interval.
func TestManyChecksAreSpread(t *testing.T) {
	const checks, interval, tenth = 2000, 10 * time.Second, time.Second
	start := time.Unix(1_800_000_000, 0)
	var s schedule
	last := map[*job]time.Time{}
	for range checks {
		j := &job{check: Check{Rules: config.Health{Interval: interval}}, due: firstDue(interval, start)}
		s.add(j)
		last[j] = start
	}
	begun := map[int]int{} // by tenth of an interval since the start
	for now := start; now.Before(start.Add(20 * interval)); {
		j, wait := s.takeDue(now)
		if j == nil {
			now = now.Add(wait)
			continue
		}
		if age := now.Sub(last[j]); age > interval {
			t.Fatalf("a check begins %v after the one before", age)
		}
		last[j] = now
		begun[int(now.Sub(start)/tenth)]++
		j.reschedule(now, now)
		s.add(j)
	}
	if begun[0] < checks {
		t.Errorf("%d first checks begin within a second, want %d", begun[0], checks)
	}
	const fair = checks / 10
	for n := 1; n < 200; n++ {
		if begun[n] > 2*fair {
			t.Errorf("%d checks begin in second %d, want about %d", begun[n], n, fair)
		}
	}
}
