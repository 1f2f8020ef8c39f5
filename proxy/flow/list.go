package flow

import (
	"iter"
	"slices"
	"time"

	"anyport/config"
	"anyport/proxy/route"
)

// Listing is the flows of one moment, to be listed a page at a time: flows that have ended by then
// are left out.
type Listing[S any] struct{ left []*Flow[S] }

// Listing begins a list of all flows.
func (t *Table[S]) Listing() Listing[S] { return Listing[S]{slices.Clone(t.deadlines)} }

// Done reports whether there is no further page.
func (l *Listing[S]) Done() bool { return len(l.left) == 0 }

// NextPage appends the next flows that are still alive to page. There may be none.
func (t *Table[S]) NextPage(l *Listing[S], page []route.Conn, now time.Duration) []route.Conn {
	for f := range t.nextLive(l) {
		page = append(page, f.listed(now))
	}
	return page
}

// NextMatches returns those among the next flows of the list that are still alive and match.
func (t *Table[S]) NextMatches(l *Listing[S], match func(*route.Conn) bool, now time.Duration) (found []*Flow[S]) {
	for f := range t.nextLive(l) {
		if listed := f.listed(now); match(&listed) {
			found = append(found, f)
		}
	}
	return found
}

// nextLive takes a page of the list, and yields the flows of it that are still alive.
func (t *Table[S]) nextLive(l *Listing[S]) iter.Seq[*Flow[S]] {
	of := l.left[:min(len(l.left), route.PageSize)]
	l.left = l.left[len(of):]
	return func(yield func(*Flow[S]) bool) {
		for _, f := range of {
			if t.flows[f.Key] == f && !yield(f) {
				return
			}
		}
	}
}

func (f *Flow[S]) listed(now time.Duration) route.Conn {
	state := route.Open
	if f.stage == Unanswered {
		state = route.Unanswered
	}
	return route.Conn{
		ID: f.ID, Protocol: config.UDP, State: state,
		Route: f.Route.Name, Client: f.Client(), Peer: f.Key.peer(), Dst: f.Dst(), Origin: f.OriginAddr(),
		Age: now - f.begun, Idle: now - f.last, ToOrigin: f.toOrigin, ToClient: f.toClient,
	}
}
