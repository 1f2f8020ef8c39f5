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

// NextMatches returns those among the next flows of the list that are still alive and match.
func (t *Table[S]) NextMatches(l *Listing[S], match func(*route.Conn) bool, now time.Duration) (found []*Flow[S]) {
	for f := range t.NextFlows(l) {
		if listed := f.Listed(now, 0); match(&listed) {
			found = append(found, f)
		}
	}
	return found
}

// NextFlows takes a page of the list, and yields the flows of it that are still alive. There may be none.
func (t *Table[S]) NextFlows(l *Listing[S]) iter.Seq[*Flow[S]] {
	of := l.left[:min(len(l.left), route.PageSize)]
	if l.left = l.left[len(of):]; len(l.left) == 0 {
		l.left = nil // a list may be kept for long
	}
	return func(yield func(*Flow[S]) bool) {
		for _, f := range of {
			if t.has(f) && !yield(f) {
				return
			}
		}
	}
}

// Listed is f in the list, in a generation of the kernel's entries (see [Flow.FastDue]).
func (f *Flow[S]) Listed(now time.Duration, generation uint32) route.Conn {
	state := route.Open
	if f.stage == Unanswered {
		state = route.Unanswered
	}
	return route.Conn{
		ID: f.ID, Protocol: config.UDP, State: state,
		Route: f.Route.Name, Client: f.Client(), Peer: f.Key.peer(), Dst: f.Dst(), Origin: f.OriginAddr(),
		Age: now - f.begun, Idle: now - f.last, ToOrigin: f.toOrigin, ToClient: f.toClient,
		Path: f.path(generation),
	}
}
