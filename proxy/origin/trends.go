package origin

import (
	"sync/atomic"
	"time"

	"anyport/config"
	"anyport/proxy/health"
	"anyport/proxy/trend"
)

// tally is what a process has counted of an origin, apart from others, since peaks and averages are its own.
type tally struct {
	conns    atomic.Uint64 // and flows, here and below
	connects trend.Adder   // from the dial until the origin accepted
	sessions trend.Adder   // from the begin to the end
}

// trends are what looks at the counters of an origin find. Peaks and averages are of this process; the
// time that an origin was down goes on from one process to the next. A reload keeps all of them.
type trends struct {
	conns              trend.Rate
	connects, sessions trend.Mean
	down               trend.Stopwatch
}

// Connected counts how long o took to accept a conn.
func (o *Origin) Connected(took time.Duration) { o.counts.own.connects.Add(took) }

// Served counts how long a conn or flow of o has lasted, from its begin to its end.
func (o *Origin) Served(took time.Duration) { o.counts.own.sessions.Add(took) }

// RetriedFrom counts a dial of o by a conn or flow whose dial of another way or origin has failed. It
// reports whether that was one of another server.
func (o *Origin) RetriedFrom(failed *Origin) (elsewhere bool) {
	o.counts.retries.Add(1)
	elsewhere = o.counts != failed.counts && (failed.other == nil || failed.other.counts != o.counts)
	if elsewhere {
		failed.counts.moves.Add(1)
	}
	return elsewhere
}

// Look notes what the counters of o are now. elapsed is the time since the last look, which must be the
// same for all origins. Looks must not race.
func (o *Origin) Look(elapsed time.Duration, now time.Time) {
	c := o.counts
	c.trends.conns.Look(c.own.conns.Load(), elapsed, now)
	c.trends.connects.Look(c.own.connects.Sum())
	c.trends.sessions.Look(c.own.sessions.Sum())
	o.noteDown(now)
}

// noteDown notes whether o is down now: by its checks, by hand, or left out because it has failed.
func (o *Origin) noteDown(now time.Time) { o.counts.trends.down.Note(o.isDown(now), now) }

// ResumeDown goes on counting how long o is down, where another process has counted until now.
func (o *Origin) ResumeDown(now time.Time) {
	if o.isDown(now) {
		o.counts.trends.down.Resume(now)
	}
}

// isDown reports whether o takes nothing new, and nobody has ordered just that.
func (o *Origin) isDown(now time.Time) bool {
	for _, p := range []config.Protocol{config.TCP, config.UDP} {
		if v := o.Verdict(p, now); v.Down() || v == health.Ejected {
			return true
		}
	}
	return false
}

// Serves reports whether o takes new conns and flows, or would, had it a weight.
func (o *Origin) Serves(now time.Time) bool {
	for _, p := range []config.Protocol{config.TCP, config.UDP} {
		if v := o.Verdict(p, now); v != health.Up && v != health.NoWeight {
			return false
		}
	}
	return !o.vanished
}

// Trends are the peaks, averages and moments of an origin.
type Trends struct {
	NewPeak float64   // the most conns and flows that it was given in a second
	LastNew time.Time // when it was given one last, to a second; zero: never
	Connect trend.Sum // the newest of what is averaged, here and below
	Session trend.Sum

	Accepts      trend.Sum     // how long it took to accept conns, in all processes, here and below
	Sessions     trend.Sum     // how long conns and flows have lasted
	Down         time.Duration // how long it was down
	ChecksFailed uint64
	Retries      uint64 // dials that were not the first of their conn or flow
	Moves        uint64 // conns and flows that went on to another server after a dial of this one had failed
}

// Trends returns what the looks at the counters have found, and rare events.
func (o *Origin) Trends() Trends {
	c := o.counts
	return Trends{
		NewPeak: c.trends.conns.Peak(), LastNew: c.trends.conns.Grew(),
		Connect: c.trends.connects.Of(c.own.connects.Sum()), Session: c.trends.sessions.Of(c.own.sessions.Sum()),
		Accepts: c.own.connects.Sum().Plus(c.before.connects.Sum()), Sessions: c.own.sessions.Sum().Plus(c.before.sessions.Sum()),
		Down: c.trends.down.Total(), ChecksFailed: c.failed.Load(), Retries: c.retries.Load(), Moves: c.moves.Load(),
	}
}

// SlowStart is the part of its weight that o gets while it comes back; not ok once it gets all of it.
func (o *Origin) SlowStart(over time.Duration, now time.Time) (part float64, ok bool) {
	weight := float64(o.CurrentWeight())
	if over <= 0 || weight == 0 {
		return 1, false
	}
	for _, p := range []config.Protocol{config.TCP, config.UDP} {
		if share := o.share(over, p, now) / weight; share < 1 {
			return share, true
		}
	}
	return 1, false
}
