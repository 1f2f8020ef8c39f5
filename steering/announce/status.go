package announce

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Part is the state of the host or of a route.
type Part struct {
	Route   string // "": the host
	Verdict Verdict
	Flaps   uint64        // withdrawals because it was not ready
	Penalty float64       // for these, as of now
	Wait    time.Duration // until it is announced if it stays ready
}

// Status is what is announced, and why the rest is not.
type Status struct {
	Table    int // 0: nothing is announced, ever
	Metric   int
	Device   string
	Prefixes map[Verdict]int
	Problem  string // why this host cannot serve
	Refused  string // why a withdrawal waits
	Failed   string // what the kernel has refused
	Restored uint64 // routes that others have removed
	Parts    []Part // the host, then the routes by name
}

// Standing says how many prefixes have a route, of how many there are.
func (s Status) Standing() (announced, all int) {
	for verdict, n := range s.Prefixes {
		all += n
		if verdict.Stands() {
			announced += n
		}
	}
	return announced, all
}

// Whole reports whether each prefix has a route that is in force.
func (s Status) Whole() bool {
	announced, all := s.Standing()
	return announced+s.Prefixes[Inactive] == all
}

// Best is the most welcoming verdict of all prefixes; "" if there are none.
func (s Status) Best() Verdict {
	for _, v := range Verdicts {
		if s.Prefixes[v] > 0 {
			return v
		}
	}
	return ""
}

// Status is the state at a time.
func (a *Announcer) Status(now time.Time) Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := Status{Prefixes: map[Verdict]int{}, Problem: a.problem, Refused: a.refused, Failed: a.failed, Restored: a.restored}
	if a.routes == nil || a.config.Table == 0 {
		return s
	}
	s.Table, s.Metric, s.Device = a.config.Table, a.config.Metric, a.routes.device.Name()
	for _, v := range a.verdicts {
		s.Prefixes[v]++
	}
	s.Parts = append(s.Parts, a.book.host.part("", now))
	for _, name := range slices.Sorted(maps.Keys(a.book.routes)) {
		s.Parts = append(s.Parts, a.book.routes[name].part(name, now))
	}
	return s
}

func (u *unit) part(name string, now time.Time) Part {
	return Part{Route: name, Verdict: u.last, Flaps: u.flaps, Penalty: u.penaltyNow(now), Wait: u.wait(now)}
}

// Verdict is the verdict on a prefix; "" if no route in service has it.
func (a *Announcer) Verdict(p netip.Prefix) Verdict {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.verdicts[p]
}
