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

// keepLooking looks at the counters until ctx is done, or another process serves, which goes on with what
// this one has found.
func (s *Server) keepLooking(ctx context.Context) {
	last, wait := time.Now(), lookInterval
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.handedOver:
			return
		case <-time.After(wait):
		}
		s.routes.CountForwarded() // what the kernel has forwarded is saved, and shown to live, also if nobody asks for it
		now := time.Now()
		s.look(now.Sub(last), now)
		last, wait = now, max(lookInterval, lookShare*time.Since(now))
	}
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
