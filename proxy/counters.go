package proxy

import (
	"strings"
	"time"
)

// CounterID names one counter of a Server across processes.
type CounterID struct {
	Route  string // "": what no route takes
	Origin string // its address as `status` has it; "": the route's own
	Key    string
}

// keyBusy and the name of an event loop are the key of how long its turns have taken.
const keyBusy = "busy/"

// OfProcess reports whether the counter is of the work of one process, and tells nothing about conns.
func (id CounterID) OfProcess() bool { return id.Route == "" && strings.HasPrefix(id.Key, keyBusy) }

// EachCount yields the counters that are not 0, of the routes in service and of what no route takes.
// Those of one route come one after the other.
func (s *Server) EachCount(yield func(id CounterID, n uint64)) {
	for _, l := range s.Loads() {
		yield(CounterID{Key: keyBusy + l.Name.String()}, uint64(l.Busy))
	}
	s.routes.Unrouted.Counts(func(key string, n uint64) { yield(CounterID{Key: key}, n) })
	for _, r := range s.routes.Set().Routes {
		r.Stats.Counts(func(key string, n uint64) { yield(CounterID{Route: r.Name, Key: key}, n) })
		for _, o := range r.Origins().Origins {
			o.Counts(func(key string, n uint64) { yield(CounterID{r.Name, o.Text, key}, n) })
		}
	}
}

// AddCount adds what another process has counted. What is not in service here is ignored: the counters
// of a route end with it.
func (s *Server) AddCount(id CounterID, n uint64) {
	r := s.routes.Set().Named(id.Route)
	loop, busy := strings.CutPrefix(id.Key, keyBusy)
	switch {
	case id.Route == "" && busy:
		s.pulse.AddBusy(loop, time.Duration(n))
	case id.Route == "":
		s.routes.Unrouted.AddCount(id.Key, n)
	case r == nil:
	case id.Origin == "":
		r.Stats.AddCount(id.Key, n)
	default:
		for _, o := range r.Origins().Origins {
			if o.Text == id.Origin {
				o.AddCount(id.Key, n)
				return
			}
		}
	}
}
