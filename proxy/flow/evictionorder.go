package flow

import (
	"time"

	"anyport/proxy/client"
	"anyport/proxy/route"
)

// evictionOrder is the flows that share a bound, in the order in which they are evicted for new
// ones: first those without an answer, the oldest first; then those whose client is not validated:
// of the client that has most of them, the one that was answered first. No step searches, however
// many flows there are.
//
// Only flows that can be evicted count for which client has most. How many validated ones a client
// has is bounded by max_flows_per_client.
type evictionOrder[S any] struct {
	clients    map[clientKey]*clientFlows[S]
	unanswered flowList[S]
	answered   client.Ranking[*clientFlows[S]]
}

// clientKey is a client in an eviction order. Flows of a route with a max_flows_per_client of its
// own count apart.
type clientKey struct {
	client [16]byte // client.Of
	route  *route.Stats
}

// clientFlows is what one client has in an eviction order. There may be as many as flows.
type clientFlows[S any] struct {
	key   clientKey
	flows int // of every stage

	unanswered, answered flowList[S]
	rank                 client.Holder[*clientFlows[S]] // by the flows in answered
}

// entry is one flow in one eviction order.
type entry[S any] struct {
	flow   *Flow[S]
	client *clientFlows[S]
	links  [2]links[S]
}

// An entry is in at most one list of its eviction order and in one of its client's.
const (
	ofOrder = iota
	ofClient
)

// links are the neighbours of an entry in one flowList; nil at its ends.
type links[S any] struct{ older, newer *entry[S] }

// flowList is entries, oldest first, linked by one of their links.
type flowList[S any] struct{ oldest, newest *entry[S] }

func (l *flowList[S]) push(e *entry[S], of int) {
	e.links[of] = links[S]{older: l.newest}
	if l.newest == nil {
		l.oldest = e
	} else {
		l.newest.links[of].newer = e
	}
	l.newest = e
}

func (l *flowList[S]) unlink(e *entry[S], of int) {
	at := e.links[of]
	if at.older == nil {
		l.oldest = at.newer
	} else {
		at.older.links[of].newer = at.newer
	}
	if at.newer == nil {
		l.newest = at.older
	} else {
		at.newer.links[of].older = at.older
	}
	e.links[of] = links[S]{}
}

// add takes in a new flow, which is unanswered.
func (o *evictionOrder[S]) add(e *entry[S], k clientKey) {
	c := o.clients[k]
	if c == nil {
		c = &clientFlows[S]{key: k}
		c.rank.Value = c
		if o.clients == nil {
			o.clients = map[clientKey]*clientFlows[S]{}
		}
		o.clients[k] = c
	}
	c.flows++
	e.client = c
	o.unanswered.push(e, ofOrder)
	c.unanswered.push(e, ofClient)
}

// markAnswered moves a flow that has its first reply.
func (o *evictionOrder[S]) markAnswered(e *entry[S]) {
	o.unanswered.unlink(e, ofOrder)
	e.client.unanswered.unlink(e, ofClient)
	e.client.answered.push(e, ofClient)
	o.answered.Add(&e.client.rank)
}

// markValidated takes a flow whose client is validated out of the order: it is never evicted.
func (o *evictionOrder[S]) markValidated(e *entry[S]) {
	e.client.answered.unlink(e, ofClient)
	o.answered.Remove(&e.client.rank)
}

// remove takes a flow out, at its end.
func (o *evictionOrder[S]) remove(e *entry[S]) {
	c := e.client
	switch e.flow.stage {
	case Unanswered:
		o.unanswered.unlink(e, ofOrder)
		c.unanswered.unlink(e, ofClient)
	case Answered:
		o.markValidated(e)
	}
	if c.flows--; c.flows == 0 {
		delete(o.clients, c.key)
	}
}

// next returns the flow to evict for a new one of a client, or nil. Where the client has as many as
// any other, it is one of its own.
func (o *evictionOrder[S]) next(newcomer clientKey) *Flow[S] {
	if oldest := o.unanswered.oldest; oldest != nil {
		return oldest.flow
	}
	largest := o.answered.Largest()
	if largest == nil {
		return nil
	}
	from := largest.Value
	if own := o.clients[newcomer]; own != nil && own.rank.Held() == largest.Held() {
		from = own
	}
	return from.answered.oldest.flow
}

// next returns the flow to evict for another one of the same client, or nil. One that began after
// since may still be answered, so answered ones are evicted before it: each question of a client at
// its bound would otherwise end the one before it.
func (c *clientFlows[S]) next(since time.Duration) *Flow[S] {
	waiting := c.unanswered.oldest
	switch {
	case waiting != nil && waiting.flow.begun <= since:
		return waiting.flow
	case c.answered.oldest != nil:
		return c.answered.oldest.flow
	case waiting != nil:
		return waiting.flow
	}
	return nil
}
