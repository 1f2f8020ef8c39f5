package steering

import (
	"fmt"
	"time"

	"anyport/steering/bpfmaps"
)

// Readiness is what keeps packets for the served prefixes from coming here by the table in service. Where
// nothing does, all of it is empty.
type Readiness struct {
	Closed  bool     // Close or Release came: the rest is not known
	Sockets []string // sockets that are not where the program looks for them
	Link    string   // the state of the link, if it is not attached
	Table   string   // which table the kernel has instead
	Missing []string // local routes and other things that other programs have removed
}

// routesAge is how old the comparison of the local routes may be that Readiness goes by: a probe that asks
// ten times a second must not list all routes as often.
const routesAge = time.Second

// Readiness asks the kernel. Unlike Status it reads no counters, and unlike Drift no table, so it takes
// some ten system calls. It waits while Replace puts a table into service.
func (s *Steering) Readiness() (r Readiness, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return Readiness{Closed: true}, nil
	}
	state, err := s.linkState()
	if err != nil {
		return r, err
	}
	if state != linkAttached {
		r.Link = string(state)
	}
	generation, err := s.servedTables()
	if err != nil {
		return r, err
	}
	if generation != s.generation {
		r.Table = fmt.Sprintf("generation %d is in service, and not %d", generation, s.generation)
	}
	if err := s.keeper.Compare(time.Now(), routesAge); err != nil {
		return r, err
	}
	r.Missing = append(s.keeper.Missing(), s.returning.lacking()...)
	var lost bpfmaps.Differences
	err = s.sockets.compare(s.objects.Sockets, &lost)
	r.Sockets = lost.Lines()
	return r, err
}
