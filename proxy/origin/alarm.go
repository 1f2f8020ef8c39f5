package origin

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"anyport/config"
)

// alarmQuiet is the least time between two warnings about one route.
const alarmQuiet = 10 * time.Second

// alarm is up while all origins of a route fail over one protocol. It is kept across reloads.
type alarm struct {
	up atomic.Bool // read without mu for each conn that an origin accepts

	mu      sync.Mutex
	since   time.Time // when it was last raised
	logged  bool      // of this time there is a line in the log
	last    time.Time // line in the log
	omitted int       // times without one
}

// raise has the alarm up, and reports whether there is to be a line in the log, and how many times had
// none before it.
func (a *alarm) raise(now time.Time) (log bool, omitted int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.up.Load() {
		a.since, a.logged = now, false
		a.up.Store(true)
		a.omitted++
	}
	if a.logged || now.Sub(a.last) < alarmQuiet {
		return false, 0
	}
	omitted = a.omitted - 1
	a.logged, a.last, a.omitted = true, now, 0
	return true, omitted
}

// end has the alarm down. If there is a line in the log that it is up, there is to be another one now.
func (a *alarm) end(now time.Time) (log bool, since time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.up.Swap(false) {
		return false, time.Time{}
	}
	if a.logged {
		a.last = now
	}
	return a.logged, a.since
}

// restore goes on with an alarm of another process, which has logged it.
func (a *alarm) restore(since time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.since, a.logged = since, true
	a.up.Store(true)
}

// Alarm is a line for the log: all origins of a route fail over one protocol, or no longer.
type Alarm struct {
	route    string
	protocol config.Protocol
	origin   *Origin       // the one that has failed last, or serves again
	over     bool          // it serves again
	lasted   time.Duration // until then
	omitted  int           // alarms without a line before this one
}

// Log writes the line. A nil Alarm writes none.
func (a *Alarm) Log(log *slog.Logger) {
	if a == nil {
		return
	}
	args := []any{"route", a.route, "protocol", a.protocol.String(), "origin", a.origin.Text}
	if a.over {
		log.Info("an origin serves again, after all origins of the route have failed", append(args, "after", a.lasted.Round(time.Second))...)
		return
	}
	if state := a.origin.State(); state.Failing {
		args = append(args, "checks_fail", state.Why)
	} else if last, _ := a.origin.LastFailure(a.protocol); last != nil {
		args = append(args, "error", last.Class.String(), "in_a_row", last.InRow, "since", last.Since.Format(time.TimeOnly))
	}
	if a.omitted > 0 {
		args = append(args, "warnings_omitted", a.omitted)
	}
	log.Warn("all origins of a route fail: see anyport status", args...)
}
