package route

import (
	"time"

	"anyport/proxy/trend"
)

// trends are what looks at the counters of a route find. Peaks and averages are of this process; outages
// go on from one process to the next. A reload keeps all of them.
type trends struct {
	arrivals                  trend.Rate
	connects, waits, sessions trend.Mean
	outage                    trend.Stopwatch // no origin was up
}

// Look notes what the counters of r and of its origins are now. elapsed is the time since the last look,
// which must be the same for all routes. Looks must not race. It returns how many conns and flows came.
func (r *Route) Look(elapsed time.Duration, now time.Time) (came uint64) {
	came = r.Stats.look(elapsed, now)
	up := false
	for _, o := range r.Origins().Origins {
		o.Look(elapsed, now)
		up = up || o.Serves(now)
	}
	if len(r.Origins().Origins) > 0 {
		r.Stats.trends.outage.Note(!up, now)
	}
	return came
}

// ResumeOutage goes on with an outage of r that another process has counted the begin of, if no origin is
// up.
func (r *Route) ResumeOutage(now time.Time) {
	for _, o := range r.Origins().Origins {
		if o.Serves(now) {
			return
		}
	}
	if len(r.Origins().Origins) > 0 {
		r.Stats.trends.outage.Resume(now)
	}
}

func (s *Stats) look(elapsed time.Duration, now time.Time) (came uint64) {
	t := s.ownTimes()
	came = s.trends.arrivals.Look(t.arrived, elapsed, now)
	s.trends.connects.Look(t.connects)
	s.trends.waits.Look(t.waits)
	s.trends.sessions.Look(t.sessions)
	return came
}

// times are sums of what this process has counted, of both protocols.
type times struct {
	arrived                   uint64
	connects, waits, sessions trend.Sum
}

func (s *Stats) ownTimes() (t times) {
	for c := range s.own {
		for p := range c.sessions {
			t.arrived += c.arrived[p].Load()
			t.sessions = t.sessions.Plus(c.sessions[p].Sum())
		}
		t.connects, t.waits = t.connects.Plus(c.connects.total()), t.waits.Plus(c.waits.total())
	}
	return t
}

// Trends are the peaks, averages and moments of a route.
type Trends struct {
	NewPeak  float64   // the most conns and flows that came in a second
	LastNew  time.Time // when one has come last, to a second; zero: none has
	Connect  trend.Sum // the newest of what is averaged, here and below
	Wait     trend.Sum
	Session  trend.Sum
	Outage   time.Duration // how long no origin was up, in all processes
	Outages  uint64
	OutageAt time.Time // when the last outage began or ended; zero: neither
}

// Trends returns what the looks at the counters have found.
func (s *Stats) Trends() Trends {
	t, own := &s.trends, s.ownTimes()
	return Trends{
		NewPeak: t.arrivals.Peak(), LastNew: t.arrivals.Grew(),
		Connect: t.connects.Of(own.connects), Wait: t.waits.Of(own.waits), Session: t.sessions.Of(own.sessions),
		Outage: t.outage.Total(), Outages: t.outage.Starts(), OutageAt: t.outage.Changed(),
	}
}
