package trend_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"anyport/proxy/trend"
)

var start = time.Unix(1_800_000_000, 0)

// TestMeanIsOfTheNewest compares with a list of all values: the window is a part of its end, of at least
// half of Newest and at most Newest and what two looks find.
func TestMeanIsOfTheNewest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var m trend.Mean
		var adder trend.Adder
		var all []time.Duration
		mostPerLook := 1 + random.IntN(3000)
		burst := 0
		for range 200 {
			n := random.IntN(mostPerLook + 1)
			burst = max(burst, n)
			for range n {
				d := time.Duration(random.Int64N(int64(time.Hour)))
				adder.Add(d)
				all = append(all, d)
			}
			m.Look(adder.Sum())
			window := m.Of(adder.Sum())
			if least := min(len(all), trend.Newest/2); window.Count < uint64(least) || window.Count > uint64(trend.Newest+2*burst) {
				t.Fatalf("the average is of %d values, want %d to %d", window.Count, least, trend.Newest+2*burst)
			}
			naive := time.Duration(0)
			for _, d := range all[len(all)-int(window.Count):] {
				naive += d
			}
			if window.Total != naive {
				t.Fatalf("the last %d values add up to %v, want %v", window.Count, window.Total, naive)
			}
			if len(all) > 0 && window.Mean() != naive/time.Duration(window.Count) {
				t.Fatalf("the average is %v", window.Mean())
			}
		}
	}
}

func TestMeanOfNothing(t *testing.T) {
	var m trend.Mean
	m.Look(trend.Sum{})
	if got := m.Of(trend.Sum{}); got != (trend.Sum{}) || got.Mean() != 0 {
		t.Errorf("the window of nothing has %+v", got)
	}
}

// TestRate compares with the list of what each look found.
func TestRate(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var r trend.Rate
	n, peak, now, grew := uint64(0), 0.0, start, time.Time{}
	for range 1000 {
		elapsed := time.Duration(random.Int64N(int64(4 * time.Second)))
		now = now.Add(elapsed)
		more := uint64(random.IntN(50)) * uint64(random.IntN(2))
		n += more
		if more > 0 {
			grew = now
			seconds := elapsed.Seconds()
			if seconds < 1 {
				seconds = 1
			}
			if perSecond := float64(more) / seconds; perSecond > peak {
				peak = perSecond
			}
		}
		r.Look(n, elapsed, now)
		if r.Peak() != peak || !r.Grew().Equal(grew) {
			t.Fatalf("peak %v at %v, want %v at %v", r.Peak(), r.Grew(), peak, grew)
		}
	}
	r.Look(n-1, time.Second, now.Add(time.Hour)) // read while another process's count was being added
	if !r.Grew().Equal(grew) {
		t.Error("a counter that is less than before has grown")
	}
}

// TestStopwatch compares with a clock that ticks each second.
func TestStopwatch(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	var s trend.Stopwatch
	var total time.Duration
	starts, lasts, changed := uint64(0), false, time.Time{}
	for second := range 5000 {
		now := start.Add(time.Duration(second) * time.Second)
		if lasts {
			total += time.Second
		}
		if random.IntN(10) == 0 {
			if lasts = !lasts; lasts {
				starts++
			}
			changed = now
		}
		s.Note(lasts, now)
		if s.Total() != total || s.Starts() != starts || !s.Changed().Equal(changed) {
			t.Fatalf("second %d: %v in %d times, changed %v; want %v in %d, %v", second, s.Total(), s.Starts(), s.Changed(), total, starts, changed)
		}
	}
}

// TestStopwatchGoesOn: what another process has counted, and an outage that began there.
func TestStopwatchGoesOn(t *testing.T) {
	var s trend.Stopwatch
	s.Add(time.Minute, 3)
	s.Resume(start)
	s.Note(true, start.Add(5*time.Second))
	s.Note(false, start.Add(7*time.Second))
	if s.Total() != time.Minute+7*time.Second || s.Starts() != 3 {
		t.Errorf("%v in %d times, want 1m7s in 3", s.Total(), s.Starts())
	}
}
