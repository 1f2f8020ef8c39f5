package flow

import (
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
	of := l.left[:min(len(l.left), route.PageSize)]
	l.left = l.left[len(of):]
	for _, f := range of {
		if t.flows[f.Key] == f {
			page = append(page, f.listed(now))
		}
	}
	return page
}

func (f *Flow[S]) listed(now time.Duration) route.Conn {
	return route.Conn{
		ID: f.ID, Protocol: config.UDP, Route: f.Route.Name, Client: f.Client(), Peer: f.Key.peer(), Dst: f.Dst(), Origin: f.OriginAddr(),
		Age: now - f.begun, Idle: now - f.last, ToOrigin: f.toOrigin, ToClient: f.toClient,
	}
}
