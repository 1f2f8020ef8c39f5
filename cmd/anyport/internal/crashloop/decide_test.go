package crashloop

import (
	"math/rand/v2"
	"testing"
	"time"
)

// event is one thing that happened, for the oracle.
type event struct {
	kind string // "start", "begin", "end", "lasts"
	hash Hash   // of the file at a start; else of the config
	at   time.Time
	used Choice // of a start
}

// history is all that ever happened. Its methods answer by reading all of it again.
type history []event

// deaths counts the attempts with h that the next start found open. An attempt ends with an end, with
// another attempt of the same process, or with lasts.
func (h history) deaths(of Hash, now time.Time) (n int) {
	for i, e := range h {
		if e.kind != "begin" || e.hash != of || h.lastsAfter(i, of) {
			continue
		}
	next:
		for _, later := range h[i+1:] {
			switch later.kind {
			case "end", "begin", "lasts":
				break next
			case "start":
				if now.Sub(later.at).Abs() <= deathsKept {
					n++
				}
				break next
			}
		}
	}
	return n
}

// lastsAfter reports whether the config has lasted after the event i.
func (h history) lastsAfter(i int, of Hash) bool {
	for _, e := range h[i+1:] {
		if e.kind == "lasts" && e.hash == of {
			return true
		}
	}
	return false
}

// lasted is the config that lasted last.
func (h history) lasted() (last Hash) {
	for _, e := range h {
		if e.kind == "lasts" {
			last = e.hash
		}
	}
	return last
}

// setAside reports whether a start has set the file aside, and since then each start had the same file,
// which has not lasted.
func (h history) setAside(file Hash) bool {
	for i := len(h) - 1; i >= 0; i-- {
		switch e := h[i]; {
		case e.kind == "lasts" && e.hash == file, e.kind == "start" && e.hash != file:
			return false
		case e.kind == "start" && e.used == UseLasted:
			return true
		}
	}
	return false
}

// choice is what a start with the file has to choose.
func (h history) choice(file Hash, now time.Time) Choice {
	aside := h.setAside(file)
	// The start itself finds a death: it is the last event.
	h = append(h[:len(h):len(h)], event{kind: "start", hash: file, at: now})
	switch last := h.lasted(); {
	case !aside && h.deaths(file, now) < maxDeaths:
		return UseFile
	case last == "":
		return NothingLasted
	case last == file:
		return LastedDies
	default:
		return UseLasted
	}
}

// TestDecideAgainstHistory lets processes start, reload, last, stop and die at random, and compares
// each decision with one that is made from the whole history.
func TestDecideAgainstHistory(t *testing.T) {
	t.Parallel()
	used := map[Choice]int{}
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 1))
		now := time.Unix(1_800_000_000, 0)
		var r Records
		var h history
		var running Hash // what the process serves; "" if there is none
		begin := func(hash Hash) {
			r = r.begin(Attempt{Hash: hash})
			h = append(h, event{kind: "begin", hash: hash})
		}
		file := Hash("a")
		for step := range 60 {
			now = now.Add(time.Duration(random.IntN(600)) * time.Second)
			if random.IntN(3) == 0 {
				file = Hash("abc"[random.IntN(3)])
			}
			if running == "" {
				want := h.choice(file, now)
				var v Verdict
				r, v = r.decide(file, now, false, func(Hash) bool { return true })
				if v.Choice != want {
					t.Fatalf("seed %d, step %d: chose %d, want %d\n%+v\n%+v", seed, step, v.Choice, want, h, r)
				}
				used[want]++
				h = append(h, event{kind: "start", hash: file, at: now, used: want})
				running = file
				if want == UseLasted {
					running = r.Lasted.Hash
				}
				begin(running)
				continue
			}
			switch random.IntN(6) {
			case 0: // a reload
				begin(file)
				running = file
			case 1: // a reload that is refused
				begin(file)
				begin(running)
			case 2:
				r = r.lasts(Attempt{Hash: running})
				h = append(h, event{kind: "lasts", hash: running})
			case 3:
				r = r.end()
				h = append(h, event{kind: "end"})
				running = ""
			default: // it dies
				running = ""
			}
		}
	}
	for c := UseFile; c <= LastedDies; c++ {
		if used[c] < 100 {
			t.Errorf("choice %d came up %d times: the test does not test it", c, used[c])
		}
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	died := func(hashes ...Hash) (deaths []Death) {
		for _, h := range hashes {
			deaths = append(deaths, Death{h, now.Add(-time.Minute)})
		}
		return deaths
	}
	a, b := &Attempt{Hash: "a", Lasted: true}, &Attempt{Hash: "b"}
	for name, test := range map[string]struct {
		r       Records
		upgrade bool
		lost    bool // no text is kept
		want    Choice
	}{
		"the first start":                       {},
		"one death":                             {r: Records{Lasted: a, Running: b}},
		"two deaths":                            {r: Records{Lasted: a, Running: b, Deaths: died("b")}, want: UseLasted},
		"two deaths, the process lives":         {r: Records{Lasted: a, Running: b, Deaths: died("b")}, upgrade: true},
		"two deaths with another file":          {r: Records{Lasted: a, Deaths: died("c", "c")}},
		"two deaths long ago":                   {r: Records{Lasted: a, Deaths: []Death{{"b", now.Add(-2 * time.Hour)}, {"b", now.Add(-61 * time.Minute)}}}},
		"two deaths in a future":                {r: Records{Lasted: a, Deaths: []Death{{"b", now.AddDate(1, 0, 0)}, {"b", now.AddDate(1, 0, 0)}}}},
		"an orderly end after a death":          {r: Records{Lasted: a, Deaths: died("b")}},
		"nothing has lasted":                    {r: Records{Deaths: died("b", "b")}, want: NothingLasted},
		"what lasted is not kept":               {r: Records{Lasted: a, Deaths: died("b", "b")}, lost: true, want: NothingLasted},
		"what lasted is the file":               {r: Records{Lasted: &Attempt{Hash: "b", Lasted: true}, Deaths: died("b", "b")}, lost: true, want: LastedDies},
		"set aside long ago":                    {r: Records{Lasted: a, SetAside: "b"}, want: UseLasted},
		"another file was set aside":            {r: Records{Lasted: a, SetAside: "c"}},
		"upgrade, the file is set aside":        {r: Records{Lasted: a, SetAside: "b", Running: a}, upgrade: true, want: UseLasted},
		"upgrade, a reload has tried it again":  {r: Records{Lasted: a, SetAside: "b", Running: b}, upgrade: true},
		"the process died after it had lasted":  {r: Records{Lasted: a, Running: a, Deaths: died("b")}},
		"what serves in its place has died too": {r: Records{Lasted: a, SetAside: "b", Running: &Attempt{Hash: "a"}, Deaths: died("b", "b")}, want: UseLasted},
	} {
		_, v := test.r.decide("b", now, test.upgrade, func(Hash) bool { return !test.lost })
		if v.Choice != test.want {
			t.Errorf("%s: chose %d, want %d", name, v.Choice, test.want)
		}
	}
}

// TestDeathsAreBounded shows that a process that dies for a day does not fill the disk.
func TestDeathsAreBounded(t *testing.T) {
	t.Parallel()
	var r Records
	now := time.Unix(1_800_000_000, 0)
	for range 1000 {
		r = r.begin(Attempt{Hash: "a"}).find(now)
		now = now.Add(time.Second)
	}
	if len(r.Deaths) != mostDeaths {
		t.Errorf("%d deaths are kept", len(r.Deaths))
	}
}
