package wheel

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestWheelAgainstList lets a wheel and a plain map of deadlines run side by
// side on a fake clock.
func TestWheelAgainstList(t *testing.T) {
	seeds := uint64(50)
	if testing.Short() { // on an emulated machine
		seeds = 5
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 0))
		var w Wheel[int]
		timers := make([]Timer[int], 100)
		deadlines, pending := map[*Timer[int]]time.Duration{}, map[*Timer[int]]bool{} // pending: due, and not fired yet
		now := time.Duration(0)
		for range 500 {
			timer := &timers[r.IntN(len(timers))]
			delete(pending, timer)
			switch r.IntN(4) {
			case 0:
				w.Stop(timer)
				delete(deadlines, timer)
			default:
				at := now + span(r)
				w.Set(timer, at)
				deadlines[timer] = at
			}
			now += span(r) / 16
			for _, timer := range due(deadlines, now) {
				pending[timer] = true
			}
			most := 1 + r.IntN(3)
			want, got := min(most, len(pending)), fired(&w, now, most)
			for _, timer := range got {
				if !pending[timer] {
					t.Fatalf("seed %d at %v: a timer fired that is not due", seed, now)
				}
				delete(pending, timer)
			}
			if len(got) != want {
				t.Fatalf("seed %d at %v: %d timers fired, want %d", seed, now, len(got), want)
			}
			next := now
			if len(pending) == 0 {
				next = soonest(deadlines) + tick
			}
			if wait := w.Wait(now); next != Never && wait > max(0, next-now) {
				t.Fatalf("seed %d at %v: waits %v, a timer is due in %v", seed, now, wait, next-now)
			}
		}
	}
}

// span is a duration of any magnitude from a fraction of a tick to many turns of the wheel.
func span(r *rand.Rand) time.Duration {
	return time.Duration(r.Int64N(int64(tick) << r.IntN(14)))
}

func fired(w *Wheel[int], now time.Duration, most int) (list []*Timer[int]) {
	w.Advance(now, most, func(t *Timer[int]) { list = append(list, t) })
	return list
}

// due takes from deadlines those whose tick, rounded up, is past.
func due(deadlines map[*Timer[int]]time.Duration, now time.Duration) (list []*Timer[int]) {
	for t, at := range deadlines {
		if ticks(at) <= now/tick {
			list = append(list, t)
			delete(deadlines, t)
		}
	}
	return list
}

func ticks(at time.Duration) time.Duration { return (at + tick - 1) / tick }

func soonest(deadlines map[*Timer[int]]time.Duration) time.Duration {
	first := Never - tick
	for _, at := range deadlines {
		first = min(first, at)
	}
	return first
}

func TestWheelWaitsForEverWithoutTimers(t *testing.T) {
	var w Wheel[int]
	var once Timer[int]
	if got := w.Wait(0); got != Never {
		t.Errorf("a new wheel waits %v", got)
	}
	w.Set(&once, time.Second)
	if got := fired(&w, time.Second, 10); len(got) != 1 {
		t.Fatalf("%d timers fired, want 1", len(got))
	}
	if got := w.Wait(time.Second); got != Never {
		t.Errorf("an empty wheel waits %v", got)
	}
	w.Set(&once, Never)
	if got := w.Wait(time.Second); got != Never {
		t.Errorf("a timer that is never due: waits %v", got)
	}
}

// A timer can be set again as it fires, as a conn that was active meanwhile does.
func TestWheelSetsAgainWhileFiring(t *testing.T) {
	var w Wheel[int]
	var lazy Timer[int]
	w.Set(&lazy, time.Second)
	var at []time.Duration
	for now := time.Duration(0); now < 4*time.Second; now += tick {
		w.Advance(now, 10, func(t *Timer[int]) {
			at = append(at, now)
			w.Set(t, now+time.Second)
		})
	}
	if want := []time.Duration{time.Second, 2 * time.Second, 3 * time.Second}; !slices.Equal(at, want) {
		t.Errorf("fired at %v, want %v", at, want)
	}
}
