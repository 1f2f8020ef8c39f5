package proxy

// CounterID names one counter of a Server across processes.
type CounterID struct {
	Route  string // "": what no route takes
	Origin string // its address as `status` has it; "": the route's own
	Key    string
}

// EachCount yields the counters that are not 0, of the routes in service and of what no route takes.
// Those of one route come one after the other.
func (s *Server) EachCount(yield func(id CounterID, n uint64)) {
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
	switch {
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
