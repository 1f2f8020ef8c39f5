package announce

import (
	"maps"
	"slices"
	"time"
)

// Damping is what a process has counted about the host or a route, for the process that takes its place. Its keys may be
// added to, never renamed: processes of different versions exchange it.
type Damping struct {
	Route   string    `json:"route"` // "": the host
	Penalty float64   `json:"penalty"`
	At      time.Time `json:"at"` // of the penalty
	Damped  bool      `json:"damped"`
	Flaps   uint64    `json:"flaps"`
}

// Damping returns the points of the host and of those routes that have any.
func (a *Announcer) Damping() []Damping {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.book.damping()
}

// damping leaves out units that were never withdrawn.
func (b *book) damping() (all []Damping) {
	note := func(route string, u *unit) {
		if u.flaps > 0 {
			all = append(all, Damping{route, u.penalty, u.penaltyAt, u.damped, u.flaps})
		}
	}
	note("", &b.host)
	for _, name := range slices.Sorted(maps.Keys(b.routes)) {
		note(name, b.routes[name])
	}
	return all
}

// remember has the host, and routes that enter later, begin with points of the process before.
func (b *book) remember(all []Damping) {
	b.former = map[string]Damping{}
	for _, d := range all {
		b.former[d.Route] = d
	}
	b.host.resume(b.former[""])
}

// resume goes on with points. They come over a socket from another version: what cannot be is bounded.
func (u *unit) resume(d Damping) {
	u.penalty, u.penaltyAt, u.damped, u.flaps = min(max(d.Penalty, 0), maxPenalty), d.At, d.Damped, d.Flaps
}
