package udp

import (
	"time"

	"anyport/proxy/client"
	"anyport/proxy/route"
)

// stage is how far a flow has come.
type stage uint8

const (
	unanswered stage = iota // no reply so far: its origin may not be there, and nor may its client
	answered                // the client has not shown that it is there
	shown                   // it gives way to nobody
)

// crowd is the flows that share a bound, in the order in which they give way to new ones:
// first those without an answer, the oldest of all first, then those whose client has not
// shown that it is there. Of these the client gives way that has most of them, with the one
// that was answered first. No step searches, however many flows there are.
//
// Only flows that give way count for who has most. How many others a client has is bounded
// by max_flows_per_client.
type crowd struct {
	members    map[memberKey]*member
	unanswered line
	unshown    client.Ranking[*member]
}

// memberKey is a client in a crowd. Flows of a route with a max_flows_per_client of its own
// count apart.
type memberKey struct {
	client [16]byte // client.Of
	route  *route.Stats
}

// member is what one client has in a crowd. There may be as many as flows.
type member struct {
	key   memberKey
	flows int // of every stage

	unanswered, unshown line
	rank                client.Holder[*member] // by the flows in unshown
}

// standing is the place of one flow in one crowd.
type standing struct {
	flow   *flow
	member *member
	links  [2]link
}

// A standing is in at most one line of its crowd and in one of its member's.
const (
	ofCrowd = iota
	ofMember
)

type link struct{ older, newer *standing }

// line is standings, oldest first.
type line struct{ oldest, newest *standing }

func (l *line) add(s *standing, of int) {
	s.links[of] = link{older: l.newest}
	if l.newest == nil {
		l.oldest = s
	} else {
		l.newest.links[of].newer = s
	}
	l.newest = s
}

func (l *line) remove(s *standing, of int) {
	at := s.links[of]
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
	s.links[of] = link{}
}

// join takes in a flow that has just begun.
func (c *crowd) join(s *standing, k memberKey) {
	m := c.members[k]
	if m == nil {
		m = &member{key: k}
		m.rank.Value = m
		if c.members == nil {
			c.members = map[memberKey]*member{}
		}
		c.members[k] = m
	}
	m.flows++
	s.member = m
	c.unanswered.add(s, ofCrowd)
	m.unanswered.add(s, ofMember)
}

// answered moves on a flow that has its first reply.
func (c *crowd) answered(s *standing) {
	c.unanswered.remove(s, ofCrowd)
	s.member.unanswered.remove(s, ofMember)
	s.member.unshown.add(s, ofMember)
	c.unshown.Add(&s.member.rank)
}

// shown moves on a flow whose client has shown that it is there.
func (c *crowd) shown(s *standing) {
	s.member.unshown.remove(s, ofMember)
	c.unshown.Remove(&s.member.rank)
}

// leave takes a flow out, at its end.
func (c *crowd) leave(s *standing) {
	m := s.member
	switch s.flow.stage {
	case unanswered:
		c.unanswered.remove(s, ofCrowd)
		m.unanswered.remove(s, ofMember)
	case answered:
		c.shown(s)
	}
	if m.flows--; m.flows == 0 {
		delete(c.members, m.key)
	}
}

// first returns the flow that gives way to a newcomer, or nil. A client that has as many as
// anybody gives way to itself.
func (c *crowd) first(newcomer memberKey) *flow {
	if oldest := c.unanswered.oldest; oldest != nil {
		return oldest.flow
	}
	largest := c.unshown.Largest()
	if largest == nil {
		return nil
	}
	gives := largest.Value
	if own := c.members[newcomer]; own != nil && own.rank.Held() == largest.Held() {
		gives = own
	}
	return gives.unshown.oldest.flow
}

// first returns the flow that gives way to another one of the same client, or nil. One that
// began after since may still be answered, so those that were answered give way before it: a
// client at its bound that asks much would otherwise end each of its questions by the next.
func (m *member) first(since time.Duration) *flow {
	waiting := m.unanswered.oldest
	switch {
	case waiting != nil && waiting.flow.begun <= since:
		return waiting.flow
	case m.unshown.oldest != nil:
		return m.unshown.oldest.flow
	case waiting != nil:
		return waiting.flow
	}
	return nil
}
