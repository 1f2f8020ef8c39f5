package announce

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"anyport/config"
)

var start = time.Unix(1_000_000, 0)

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, t := range texts {
		all = append(all, netip.MustParsePrefix(t))
	}
	return all
}

// step is a moment of a scene.
type step struct {
	after   time.Duration
	facts   Facts
	refused bool // the permission to withdraw
	want    map[string]Verdict
}

// TestScenes plays what may happen to a host with two routes, of which "b" needs an origin.
func TestScenes(t *testing.T) {
	a := Served{Name: "a", Prefixes: prefixes("192.0.2.0/24")}
	b := Served{Name: "b", Prefixes: prefixes("192.0.2.0/24", "198.51.100.0/24")}
	with := func(s Served, change func(*Served)) Served { change(&s); return s }
	down := func(s *Served) { s.NoOrigin = true }
	drained := func(s *Served) { s.Draining = true }
	off := func(s *Served) { s.Inactive = true }
	host := func(problem string, routes ...Served) Facts { return Facts{Problem: problem, Routes: routes} }
	both := func(v Verdict) map[string]Verdict {
		return map[string]Verdict{"192.0.2.0/24": v, "198.51.100.0/24": v}
	}
	each := func(v, w Verdict) map[string]Verdict {
		return map[string]Verdict{"192.0.2.0/24": v, "198.51.100.0/24": w}
	}
	begun := []step{{0, host("", a, b), false, both(Waiting)}, {HoldTime, host("", a, b), false, both(Announced)}}
	for name, scene := range map[string][]step{
		"not before it lasted": {{0, host("", a, b), false, both(Waiting)}, {HoldTime - 1, host("", a, b), false, both(Waiting)}, {1, host("", a, b), false, both(Announced)}},
		"the wait begins again": {{0, host("", a, b), false, both(Waiting)}, {HoldTime - 1, host("x", a, b), false, both(NotReady)},
			{time.Second, host("", a, b), false, both(Waiting)}, {HoldTime - 1, host("", a, b), false, both(Waiting)}, {1, host("", a, b), false, both(Announced)}},
		"an origin goes":          append(slices.Clone(begun), step{1, host("", a, with(b, down)), false, each(Announced, NoOrigin)}, step{1, host("", a, b), false, each(Announced, Waiting)}, step{HoldTime, host("", a, b), false, both(Announced)}),
		"the host goes":           append(slices.Clone(begun), step{1, host("x", a, b), false, both(NotReady)}),
		"too few others":          append(slices.Clone(begun), step{1, host("x", a, b), true, both(Kept)}, step{1, host("x", a, b), false, both(NotReady)}),
		"kept until it is back":   append(slices.Clone(begun), step{1, host("x", a, b), true, both(Kept)}, step{1, host("", a, b), false, both(Announced)}),
		"too few others, origin":  append(slices.Clone(begun), step{1, host("", a, with(b, down)), true, each(Announced, Kept)}),
		"one route drains":        append(slices.Clone(begun), step{1, host("", a, with(b, drained)), false, each(Announced, Draining)}),
		"all drain":               append(slices.Clone(begun), step{1, host("", with(a, drained), with(b, drained)), false, both(Draining)}),
		"it drains without ready": append(slices.Clone(begun), step{1, host("x", with(a, drained), with(b, drained)), false, both(NotReady)}),
		"out of hours": append(slices.Clone(begun), step{1, host("", a, with(b, off)), false, each(Announced, Inactive)}, step{time.Hour, host("", a, b), false, each(Announced, Waiting)},
			step{HoldTime, host("", a, b), false, both(Announced)}),
		"out of hours is not asked": append(slices.Clone(begun), step{1, host("", a, with(b, off)), true, each(Announced, Inactive)}),
		"a route changes its name":  append(slices.Clone(begun), step{1, host("", a, with(b, func(s *Served) { s.Name = "c" })), false, both(Announced)}),
		"a new route waits": append(slices.Clone(begun), step{1, host("", a, b, Served{Name: "n", Prefixes: prefixes("2001:db8::/48")}), false,
			map[string]Verdict{"192.0.2.0/24": Announced, "198.51.100.0/24": Announced, "2001:db8::/48": Waiting}}),
		"a new prefix of an old route": append(slices.Clone(begun), step{1, host("", a, with(b, func(s *Served) { s.Prefixes = prefixes("2001:db8::/48") })), false,
			map[string]Verdict{"192.0.2.0/24": Announced, "2001:db8::/48": Announced}}),
	} {
		t.Run(name, func(t *testing.T) {
			book, now := newBook(nil), start
			for i, s := range scene {
				now = now.Add(s.after)
				s.facts.Now = now
				got := map[string]Verdict{}
				for p, v := range book.decide(s.facts, !s.refused) {
					got[p.String()] = v
				}
				if !maps.Equal(got, s.want) {
					t.Fatalf("step %d: %v, want %v", i, got, s.want)
				}
			}
		})
	}
}

// TestInherited: what the process before has announced stays so if it is ready, and only that.
func TestInherited(t *testing.T) {
	a, b := Served{Name: "a", Prefixes: prefixes("192.0.2.0/24")}, Served{Name: "b", Prefixes: prefixes("198.51.100.0/24")}
	book := newBook(map[netip.Prefix]bool{a.Prefixes[0]: true})
	got := book.decide(Facts{Now: start, Routes: []Served{a, b}}, true)
	if got[a.Prefixes[0]] != Announced || got[b.Prefixes[0]] != Waiting {
		t.Errorf("%v", got)
	}
}

// TestDamped: a third withdrawal in a short time has the prefix wait for longer, and not for ever.
func TestDamped(t *testing.T) {
	var u unit
	now := start
	settle := func() (waited time.Duration) {
		for begun := now; ; now = now.Add(time.Second) {
			promised := u.wait(now)
			if u.step(now, true, true, NotReady) == Announced {
				return now.Sub(begun)
			}
			if now.Sub(begun) > time.Hour {
				t.Fatal("it is never announced")
			}
			if got := u.wait(now); promised != 0 && got > promised {
				t.Fatalf("%v are left, but %v were promised", got, promised)
			}
		}
	}
	settle()
	var waits []time.Duration
	for range 12 {
		now = now.Add(time.Second)
		u.step(now, false, true, NotReady)
		now = now.Add(time.Second)
		waits = append(waits, settle())
	}
	if waits[0] != HoldTime || waits[1] != HoldTime {
		t.Errorf("the first withdrawals are damped: %v", waits)
	}
	if waits[2] < 30*time.Second {
		t.Errorf("the third is not: %v", waits)
	}
	for _, w := range waits {
		if w > 3*HalfLife+HoldTime {
			t.Errorf("a wait of %v: %v", w, waits)
		}
	}
	now = now.Add(time.Hour)
	u.step(now, false, true, NotReady)
	if w := settle(); w != HoldTime {
		t.Errorf("an hour later: %v", w)
	}
}

// oracle is the stupid form of a unit: it remembers everything that has happened.
type oracle struct {
	times []time.Time
	ready []bool
	flaps []time.Time
	in    bool
	damp  bool
}

func (o *oracle) penalty(now time.Time) (p float64) {
	last := start
	for _, f := range o.flaps {
		p = min(maxPenalty, p*math.Exp2(-f.Sub(last).Minutes())+flapPenalty)
		last = f
	}
	return p * math.Exp2(-now.Sub(last).Minutes())
}

func (o *oracle) step(now time.Time, ready bool) bool {
	o.times, o.ready = append(o.times, now), append(o.ready, ready)
	if !ready {
		if o.in {
			o.flaps = append(o.flaps, now)
			o.damp = o.damp || o.penalty(now) > suppressAbove
		}
		o.in = false
		return false
	}
	first := len(o.ready) - 1
	for first > 0 && o.ready[first-1] {
		first--
	}
	if o.damp && o.penalty(now) < reuseBelow {
		o.damp = false
	}
	o.in = o.in || !o.damp && now.Sub(o.times[first]) >= HoldTime
	return o.in
}

// TestUnitRandomly compares a unit with the oracle.
func TestUnitRandomly(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		var u unit
		var o oracle
		now, ready := start, false
		for i := range 400 {
			now = now.Add(time.Duration(r.IntN(4000)) * time.Millisecond)
			if r.IntN(4) == 0 {
				ready = !ready
			}
			if got, want := u.step(now, ready, true, NotReady) == Announced, o.step(now, ready); got != want {
				t.Fatalf("seed %d, step %d: announced %v, want %v (%+v)", seed, i, got, want, u)
			}
		}
	}
}

// TestPlanRandomly plays plans: no prefix that is wanted before and after is ever without a route.
func TestPlanRandomly(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	random := func() routeSet {
		set := routeSet{}
		for i := range 6 {
			if r.IntN(3) > 0 {
				set[Route{179 + r.IntN(2), netip.MustParsePrefix(fmt.Sprintf("192.0.%d.0/24", i)), 100 + 1000*r.IntN(2)}] = true
			}
		}
		return set
	}
	has := func(set routeSet, p netip.Prefix) bool {
		for route := range set {
			if route.Prefix == p {
				return true
			}
		}
		return false
	}
	for range 500 {
		own, wanted := random(), random()
		kernel := maps.Clone(own)
		add, remove := plan(own, wanted)
		var missing []Route
		for _, route := range add {
			if r.IntN(5) == 0 { // the kernel refuses
				missing = append(missing, route)
				continue
			}
			kernel[route] = true
		}
		for _, route := range removable(slices.Clone(remove), missing) {
			delete(kernel, route)
			for p := range own {
				if has(wanted, p.Prefix) && !has(kernel, p.Prefix) {
					t.Fatalf("%v is without a route on the way from %v to %v", p.Prefix, own, wanted)
				}
			}
		}
		if len(missing) == 0 && !maps.Equal(kernel, wanted) {
			t.Fatalf("%v, want %v", kernel, wanted)
		}
	}
}

func TestWanted(t *testing.T) {
	p := prefixes("192.0.2.0/24")[0]
	c := config.Announce{Table: 179, Metric: 100}
	for _, v := range Verdicts {
		got := wanted(c, map[netip.Prefix]Verdict{p: v})
		want := routeSet{}
		switch v {
		case Announced, Kept:
			want[Route{179, p, 100}] = true
		case Draining:
			want[Route{179, p, 1100}] = true
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: %v", v, got)
		}
	}
	if got := wanted(config.Announce{Metric: 100}, map[netip.Prefix]Verdict{p: Announced}); len(got) > 0 {
		t.Errorf("without a table: %v", got)
	}
}
