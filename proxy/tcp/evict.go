package tcp

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"anyport/proxy/client"
	"anyport/proxy/route"
)

// connsByClient has the clients of a loop's conns, each with a list of its conns and ranked by how
// many these are. The list runs through the conns themselves, by slot: a search for idle conns costs
// as much as the client has conns, not as much as the loop has.
type connsByClient struct {
	holders map[netip.Addr]*clientHolder
	ranking client.Ranking[uint32]
}

// clientHolder is a client with conns. Its Value is the slot of its newest conn plus one.
type clientHolder = client.Holder[uint32]

// siblings are a conn's neighbours among the conns of its client: their slots plus one; 0: none.
type siblings struct{ prev, next uint32 }

func newConnsByClient() connsByClient { return connsByClient{holders: map[netip.Addr]*clientHolder{}} }

// addToClient puts a conn, which has its slot, at the head of its client's list.
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

// removeFromClient undoes addToClient.
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
	if l.clients.ranking.Remove(h); h.Held() == 0 { // clients without conns must not fill the memory
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

// holdsMuch reports whether a client has a sixteenth of all conns, and at least two: when files are short its
// next conn is refused, where that of another client would wait.
func (c *connsByClient) holdsMuch(who netip.Addr, all int) bool {
	n := c.count(who)
	return n > 1 && 16*n >= all
}

const (
	idleEnough = time.Second // only conns that moved no byte for that long are evicted, as a rule
	evictPart  = 16          // at most this part of a client's conns is evicted at once,
	evictMost  = 64          // and at most this number
)

// evictionRule says how many conns of the client with most are evicted at once for a new conn of a
// client that has newcomer, and how long they must have been idle. Afterwards the new conn's client
// still has fewer than the other one. Of a client with more than half of all conns, busy ones are
// evicted too.
func evictionRule(most, newcomer, all int) (n int, idle time.Duration) {
	n = min(max(most/evictPart, 1), evictMost, most-newcomer-1)
	if 2*most > all {
		return n, 0
	}
	return n, idleEnough
}

// evictFor ends conns of the client that has most, for a new conn of who, and reports whether it
// ended any. After a search without a result the next one waits for idleEnough: no conn can have
// become idle before.
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

// idlest returns the n conns of a client that have been idle for longest, of those idle for at least
// that long.
func (l *loop) idlest(h *clientHolder, n int, idle time.Duration) []*conn {
	found := make([]*conn, 0, n+1) // sorted, the idlest first
	for slot := h.Value; slot != 0; {
		c := l.slots[slot-1]
		slot = c.siblings.next
		if c.moving || l.now-c.active < idle { // the other process may have it already
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
