package tcp

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"anyport/proxy/client"
	"anyport/proxy/route"
)

// connsByClient are those of a loop's conns, with the conns of each. Their conns are a list
// threaded through the conns themselves, by slot: to look for those that are idle costs as
// much as the client has, not as much as all have.
type connsByClient struct {
	holders map[netip.Addr]*clientHolder
	ranking client.Ranking[uint32]
}

// clientHolder is a client with conns. Its value is the slot of the first, plus one.
type clientHolder = client.Holder[uint32]

// siblings are a conn's neighbours among the conns of its client: their slots plus one; 0: none.
type siblings struct{ prev, next uint32 }

func newConnsByClient() connsByClient { return connsByClient{holders: map[netip.Addr]*clientHolder{}} }

// addToClient counts a conn that has its slot.
func (l *loop) addToClient(c *conn) {
	who := client.Of(c.client.Addr())
	h := l.clients.holders[who]
	if h == nil {
		h = &clientHolder{}
		l.clients.holders[who] = h
	}
	if c.siblings = (siblings{next: h.Value}); h.Value != 0 {
		l.slots[h.Value-1].siblings.prev = c.slot + 1
	}
	c.owner, h.Value = h, c.slot+1
	l.clients.ranking.Add(h)
}

// removeFromClient undoes join.
func (l *loop) removeFromClient(c *conn) {
	h := c.owner
	if c.siblings.prev == 0 {
		h.Value = c.siblings.next
	} else {
		l.slots[c.siblings.prev-1].siblings.next = c.siblings.next
	}
	if c.siblings.next != 0 {
		l.slots[c.siblings.next-1].siblings.prev = c.siblings.prev
	}
	if l.clients.ranking.Remove(h); h.Held() == 0 {
		delete(l.clients.holders, client.Of(c.client.Addr()))
	}
}

// count is the number of conns that a client has.
func (c *connsByClient) count(who netip.Addr) int {
	if h := c.holders[who]; h != nil {
		return h.Held()
	}
	return 0
}

// holdsMuch says that a client holds so much of all conns that it is refused more, where
// another one would wait: a sixteenth, and two at least.
func (c *connsByClient) holdsMuch(who netip.Addr, all int) bool {
	n := c.count(who)
	return n > 1 && 16*n >= all
}

// The rule by which conns give way to a new one when the files are used up.
const (
	idleEnough = time.Second // a conn that moved a byte since then stays…
	evictPart  = 16          // …as a rule. A client gives up one conn in evictPart at once,
	evictMost  = 64          // and evictMost at most
)

// evictionRule is the rule: of the client with most conns, how many give way at once to a new
// conn of a client that has few, and how long they must have been idle. The new conn's
// client, with that conn, still has fewer than the other one afterwards. A client with
// more than half of all conns gives way even where each of them is busy.
func evictionRule(most, newcomer, all int) (n int, idle time.Duration) {
	n = min(max(most/evictPart, 1), evictMost, most-newcomer-1)
	if 2*most > all {
		return n, 0
	}
	return n, idleEnough
}

// evictFor ends conns of the client that has most, for a new one of another client, and
// reports whether there were any to end. After a search in vain the next one waits, for
// nothing becomes idle at once.
func (l *loop) evictFor(who netip.Addr) bool {
	largest := l.clients.ranking.Largest()
	if largest == nil || l.now < l.evictNotBefore {
		return false
	}
	n, idle := evictionRule(largest.Held(), l.clients.count(who), l.connCount)
	if n <= 0 {
		return false
	}
	victims := l.idlest(largest, n, idle)
	for _, c := range victims {
		l.closeConn(c, route.Evicted)
	}
	if len(victims) == 0 {
		l.evictNotBefore = l.now + idleEnough
	}
	return len(victims) > 0
}

// idlest returns the n conns of a client that have been idle for longest, of those that
// have been so for long enough.
func (l *loop) idlest(h *clientHolder, n int, idle time.Duration) []*conn {
	found := make([]*conn, 0, n+1) // in their order
	for slot := h.Value; slot != 0; {
		c := l.slots[slot-1]
		slot = c.siblings.next
		if c.moving || l.now-c.active < idle {
			continue
		}
		at, _ := slices.BinarySearchFunc(found, c, func(a, b *conn) int { return cmp.Compare(a.active, b.active) })
		if at < n {
			found = slices.Insert(found, at, c)
			found = found[:min(n, len(found))]
		}
	}
	return found
}
