package proxy

import (
	"context"
	"time"

	"anyport/proxy/mailbox"
)

// The time between two looks at the counters, from which peaks, averages and times come; and the bound of
// the time that they take with very many routes, as a divisor of all time.
const (
	lookInterval = time.Second
	lookShare    = 50
)

// The same for counting what the kernel has forwarded, with each look if there are few flows. What was not
// counted is lost if the process is killed.
const (
	countIntervalMax = 30 * time.Second // fastpath.leastMemory is longer
	countShare       = 500
)

// keepLooking looks at the counters until ctx is done, or another process serves, which goes on with what
// this one has found.
func (s *Server) keepLooking(ctx context.Context) {
	last, wait, count := time.Now(), lookInterval, time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.handedOver:
			return
		case <-time.After(wait):
		}
		if time.Now().After(count) { // so that it is saved, also if nobody asks for it
			count = s.countForwarded()
		}
		now := time.Now()
		s.look(now.Sub(last), now)
		last, wait = now, max(lookInterval, lookShare*time.Since(now))
	}
}

// countForwarded counts what the kernel has forwarded, and returns when to count again.
func (s *Server) countForwarded() (next time.Time) {
	began := time.Now()
	s.routes.CountForwarded()
	return began.Add(min(countShare*time.Since(began), countIntervalMax))
}

// look notes what the counters are at a moment.
func (s *Server) look(elapsed time.Duration, now time.Time) {
	for _, r := range s.routes.Set().Routes {
		s.arrived += r.Look(elapsed, now)
	}
	s.arrivals.Look(s.arrived, elapsed, now)
	s.pulse.Look(elapsed)
}

// NewPeak is the most conns and flows that came in a second, to all routes together, since the process
// began.
func (s *Server) NewPeak() float64 { return s.arrivals.Peak() }

// Loads is how busy the event loops are.
func (s *Server) Loads() []mailbox.Load { return s.pulse.Loads() }
