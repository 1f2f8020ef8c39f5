package origin

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/health"
)

// TestDownTime lets an origin fail and come back at random, by its checks, by hand and by dials, and compares
// the time that it is down with a clock that looks each millisecond.
func TestDownTime(t *testing.T) {
	p := pool(config.RoundRobin, 1, 1)
	p.Origins[0].Ports = config.PortRange{First: 80, Last: 80}
	o := p.Origins[0]
	random, now := rand.New(rand.NewPCG(1, 2)), time.Unix(1_800_000_000, 0)
	naive, looked := time.Duration(0), now
	o.Look(time.Second, now)
	for range 2000 {
		for range random.IntN(400) { // the time passes
			if o.isDown(now) {
				naive += time.Millisecond
			}
			now = now.Add(time.Millisecond)
			if now.Sub(looked) >= time.Second {
				o.Look(now.Sub(looked), now)
				looked = now
			}
		}
		switch random.IntN(5) {
		case 0:
			o.SetChecked(random.IntN(2) == 0, "", now)
		case 1:
			o.Force([]health.Forced{health.ByHealth, health.Drain, health.Down}[random.IntN(3)], "", now)
		case 2:
			p.DialFailed(o, Failure{Port: 80, Class: ErrorTimeout, Began: now}, now)
		case 3:
			o.Accepted(80, now)
		case 4:
			o.Refuse(80, random.IntN(2) == 0, now)
		}
	}
	o.Look(now.Sub(looked), now)
	// The end of an ejection is noticed by the next look; each begin and each other end at once.
	if got := o.Trends().Down; got < naive || got > naive+time.Duration(o.Changes(health.Ejected))*time.Second {
		t.Errorf("down for %v, want %v and up to a second for each of %d ejections", got, naive, o.Changes(health.Ejected))
	}
	if naive < time.Minute {
		t.Errorf("it was down for %v only", naive)
	}
	next := pool(config.RoundRobin, 1, 1).Origins[0]
	o.Counts(next.AddCount)
	if got, want := next.Trends().Down, o.Trends().Down; got != want {
		t.Errorf("the next process has %v, want %v", got, want)
	}
}

// TestRetries: a dial of the other address of one server is not one of another server.
func TestRetries(t *testing.T) {
	r := &config.Route{}
	named := config.Origin{Host: "app.example", Weight: 1}
	p := NewPoolOf(r, append(Resolved(named, []netip.Addr{netip.MustParseAddr("10.0.0.7"), netip.MustParseAddr("2001:db8::7")}), Literals([]config.Origin{server("a", 1)})...), nil)
	four, six, a := p.Origins[0], p.Origins[1], p.Origins[2]
	for _, dial := range []struct {
		failed, next *Origin
		elsewhere    bool
	}{{four, six, false}, {six, four, false}, {six, six, false}, {six, a, true}, {a, four, true}} {
		if got := dial.next.RetriedFrom(dial.failed); got != dial.elsewhere {
			t.Errorf("from %s to %s: elsewhere is %v", dial.failed.Text, dial.next.Text, got)
		}
	}
	for o, want := range map[*Origin][2]uint64{four: {2, 0}, six: {2, 1}, a: {1, 1}} {
		if got := o.Trends(); got.Retries != want[0] || got.Moves != want[1] {
			t.Errorf("%s: %d retries and %d that left, want %v", o.Text, got.Retries, got.Moves, want)
		}
	}
}

// TestTrendsOfThisProcess: what another process has counted is no peak here, and in no average.
func TestTrendsOfThisProcess(t *testing.T) {
	o, now := pool(config.RoundRobin, 1).Origins[0], time.Unix(1_800_000_000, 0)
	for key, n := range map[string]uint64{"conns": 1e6, "connects": 1e6, "connects/ns": 1e15, "sessions": 1e6, "sessions/ns": 1e15} {
		o.AddCount(key, n)
	}
	o.Look(time.Second, now)
	if got := o.Trends(); got.NewPeak != 0 || !got.LastNew.IsZero() || got.Connect.Count != 0 || got.Session.Count != 0 || got.Accepts.Count != 1e6 {
		t.Errorf("%+v", got)
	}
	for range 3 {
		o.Begin()
		o.Connected(time.Millisecond)
		o.Served(time.Second)
	}
	o.Look(2*time.Second, now.Add(2*time.Second))
	if got := o.Trends(); got.NewPeak != 1.5 || !got.LastNew.Equal(now.Add(2*time.Second)) || got.Connect.Mean() != time.Millisecond || got.Session.Mean() != time.Second || o.Total() != 1e6+3 {
		t.Errorf("%+v, %d in all", got, o.Total())
	}
}

// TestSlowStartShare is the part that the origin gets, and nothing once it gets all.
func TestSlowStartShare(t *testing.T) {
	o, now := pool(config.RoundRobin, 4).Origins[0], time.Unix(1_800_000_000, 0)
	o.Force(health.Down, "", now)
	o.Force(health.ByHealth, "", now)
	for after, want := range map[time.Duration]float64{0: 0.01, 5 * time.Second: 0.5, 9 * time.Second: 0.9} {
		if got, ok := o.SlowStart(10*time.Second, now.Add(after)); got != want || !ok {
			t.Errorf("after %v: %v, %v, want %v", after, got, ok, want)
		}
	}
	for _, over := range []time.Duration{0, 5 * time.Second} {
		if _, ok := o.SlowStart(over, now.Add(5*time.Second)); ok {
			t.Errorf("slow_start = %v: not over after 5s", over)
		}
	}
}

// TestWaitingPeak counts over both queues of a route, at random, against a list.
func TestWaitingPeak(t *testing.T) {
	p := pool(config.RoundRobin, 1)
	random := rand.New(rand.NewPCG(3, 4))
	var waiting []*Waiter
	where := map[*Waiter]*Queue{}
	peak := 0
	for i := range 5000 {
		if random.IntN(100) < 50+40*(1-i/2500) && len(waiting) < 200 {
			w := &Waiter{Client: clientAt(i), Call: func() {}}
			q := p.Queue(Ask{AsClient: true, Client: clientAt(i)})
			if random.IntN(2) == 0 {
				q = p.Queue(Ask{AsClient: true, Client: netip.MustParseAddr("2001:db8::1")})
			}
			if q.Join(w, 1000) {
				waiting, where[w] = append(waiting, w), q
			}
		} else if n := len(waiting); n > 0 {
			w := waiting[random.IntN(n)]
			where[w].Leave(w)
			waiting = removed(waiting, w)
		}
		if peak = max(peak, len(waiting)); p.Waiting() != len(waiting) || p.WaitingPeak() != peak {
			t.Fatalf("%d wait, %d at most; want %d and %d", p.Waiting(), p.WaitingPeak(), len(waiting), peak)
		}
	}
	next := NewPool(&config.Route{Origins: []config.Origin{server("a", 1)}}, p)
	if next.WaitingPeak() != peak {
		t.Errorf("after a reload the peak is %d, want %d", next.WaitingPeak(), peak)
	}
}

func removed(all []*Waiter, w *Waiter) (rest []*Waiter) {
	for _, other := range all {
		if other != w {
			rest = append(rest, other)
		}
	}
	return rest
}
