package health_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"anyport/proxy/health"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// results plays "+" and "-" as results of checks, and returns "U" or "d" after each.
func results(c health.Checks, r health.Rules, played string) (states string) {
	for _, result := range played {
		c = c.After(result == '+', r)
		if c.Up(r) {
			states += "U"
		} else {
			states += "d"
		}
	}
	return states
}

func TestRiseAndFall(t *testing.T) {
	r := health.Rules{Rise: 2, Fall: 3}
	for _, test := range []struct {
		name         string
		down         bool
		played, want string
	}{
		{"the first failure alone takes it down", false, "-", "d"},
		{"after a first success it takes fall", false, "+---", "UUUd"},
		{"failures must be in a row", false, "+--+--+---", "UUUUUUUUUd"},
		{"rise in a row bring it back", false, "-+-++", "dddd" + "U"},
		{"back, it has fall again", false, "-++--+", "ddUUUU"},
		{"known to be down, it must rise", true, "+-++", "dddU"},
	} {
		if got := results(health.FirstChecks(test.down, r), r, test.played); got != test.want {
			t.Errorf("%s: %s gives %s, want %s", test.name, test.played, got, test.want)
		}
	}
}

// plainChecks is the oracle: it looks at all results so far.
func plainChecks(down bool, r health.Rules, results []bool) (up bool) {
	up = !down
	row, proven := 0, false
	for i, passed := range results {
		if i > 0 && results[i-1] == passed {
			row++
		} else {
			row = 1
		}
		switch {
		case !up && passed && row >= r.Rise:
			up, proven = true, true
		case up && passed:
			proven = true
		case up && !passed && (!proven || row >= r.Fall):
			up, proven = false, false
		}
	}
	return up
}

func TestChecksAtRandom(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		r := health.Rules{Rise: 1 + random.IntN(4), Fall: 1 + random.IntN(4)}
		down := random.IntN(2) == 0
		c, played := health.FirstChecks(down, r), []bool{}
		for range 12 {
			played = append(played, random.IntN(3) > 0)
			c = c.After(played[len(played)-1], r)
			if want := plainChecks(down, r, played); c.Up(r) != want {
				t.Fatalf("%+v, down at first %v, %v: up is %v, want %v", r, down, played, c.Up(r), want)
			}
		}
	}
}

func TestVerdicts(t *testing.T) {
	for _, test := range []struct {
		state    health.State
		weight   int
		ejected  bool
		want     string
		down, ex bool
	}{
		{health.State{}, 1, false, "up", false, false},
		{health.State{Failing: true}, 1, true, "check_failed", true, false},
		{health.State{}, 1, true, "ejected", false, false},
		{health.State{}, 0, true, "weight_0", false, true},
		{health.State{Failing: true}, 0, false, "weight_0", false, true},
		{health.State{Forced: health.Drain, Failing: true}, 1, true, "forced_drain", false, true},
		{health.State{Forced: health.Down}, 0, false, "forced_down", true, true},
	} {
		v := test.state.Verdict(test.weight, test.ejected)
		if v.String() != test.want || v.Down() != test.down || v.Excluded() != test.ex {
			t.Errorf("%+v, weight %d, ejected %v: %v (down %v, excluded %v), want %s", test.state, test.weight, test.ejected, v, v.Down(), v.Excluded(), test.want)
		}
	}
	for v := range health.Verdicts {
		if v.String() == "" {
			t.Errorf("verdict %d has no word", v)
		}
	}
	for _, f := range []health.Forced{health.ByHealth, health.Drain, health.Down} {
		if again, ok := health.ParseForced(f.String()); !ok || again != f {
			t.Errorf("%v is read as %v, %v", f, again, ok)
		}
	}
}

// TestComesBack: slow_start begins when an origin comes back, and never for one that never went.
func TestComesBack(t *testing.T) {
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	var s health.State
	if s = s.Checked(false, "", at(0)); s != (health.State{}) {
		t.Errorf("a good first check changes the state: %+v", s)
	}
	s = s.Checked(true, "refused", at(1))
	if s.Why != "refused" || s.Since != at(1) || !s.Back.IsZero() {
		t.Errorf("failed: %+v", s)
	}
	if again := s.Checked(true, "timeout", at(2)); again != s {
		t.Errorf("failed again: %+v", again)
	}
	s = s.Force(health.Down, "by hand", at(3)).Checked(false, "passed", at(4))
	if !s.Back.IsZero() {
		t.Errorf("forced down, and back: %+v", s)
	}
	if s = s.Force(health.ByHealth, "by hand", at(5)); s.Back != at(5) {
		t.Errorf("ready: %+v", s)
	}
	for _, test := range []struct {
		back  time.Time
		after int
		want  float64
	}{
		{time.Time{}, 0, 1}, {at(5), 0, 0.01}, {at(5), 1, 0.1}, {at(5), 5, 0.5}, {at(5), 10, 1}, {at(5), 11, 1}, {at(5), -5, 0.01},
	} {
		if got := health.Share(test.back, at(5+test.after), 10*time.Second); got != test.want {
			t.Errorf("%d s after it came back: %v, want %v", test.after, got, test.want)
		}
	}
}

func TestPanics(t *testing.T) {
	for _, test := range []struct {
		up, origins, threshold int
		want                   bool
	}{
		{1, 4, 0, false}, {1, 4, 25, false}, {1, 4, 26, true}, {4, 4, 100, false}, {3, 4, 100, true}, {0, 4, 50, false},
	} {
		if got := health.Panics(test.up, test.origins, test.threshold); got != test.want {
			t.Errorf("%d of %d up, threshold %d%%: %v", test.up, test.origins, test.threshold, got)
		}
	}
}

// TestEjection: three failures in a row eject, and from then on each further one doubles the time.
func TestEjection(t *testing.T) {
	now, e := noon, health.Ejection{}
	for i := range health.DialsToEject - 1 {
		if e = e.Again(now, health.DialsToEject); e.Holds(now) || !e.Over(now) {
			t.Errorf("after %d failures: %+v", i+1, e)
		}
	}
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		want *= time.Second
		e = e.Again(now, health.DialsToEject)
		if again := e.Again(now.Add(want/2), health.DialsToEject); again != e {
			t.Errorf("ejection %d: a failure while it holds counts", i+1)
		}
		if !e.Holds(now.Add(want-1)) || e.Holds(now.Add(want)) || e.Lasts() != (i > 0) {
			t.Errorf("ejection %d does not hold for %v: %+v", i+1, want, e)
		}
		now = now.Add(want)
	}
	if e = e.Again(now.Add(health.LongestWait), health.DialsToEject); e.Wait != health.FirstWait {
		t.Errorf("after a long time: %+v", e)
	}
}

func TestNeverMoreThanHalf(t *testing.T) {
	for origins, most := range []int{0, 0, 1, 1, 2, 2, 3} {
		n := 0
		for health.MayEject(n, origins) {
			n++
		}
		if n != most {
			t.Errorf("%d of %d origins are ejected, want %d", n, origins, most)
		}
	}
}
