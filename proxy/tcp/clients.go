package tcp

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"anyport/proxy/client"
	"anyport/proxy/route"
)

// clients are those of a loop's conns, with the conns of each. Their conns are a list
// threaded through the conns themselves, by slot: to look for those that are idle costs as
// much as the client has, not as much as all have.
type clients struct {
	held    map[netip.Addr]*holder
	ranking client.Ranking[uint32]
}

// holder is a client with conns. Its value is the slot of the first, plus one.
type holder = client.Holder[uint32]

// kin are a conn's neighbours among the conns of its client: their slots plus one; 0: none.
type kin struct{ before, after uint32 }

func newClients() clients { return clients{held: map[netip.Addr]*holder{}} }

// join counts a conn that has its slot.
func (l *loop) join(c *conn) {
	who := client.Of(c.client.Addr())
	h := l.clients.held[who]
	if h == nil {
		h = &holder{}
		l.clients.held[who] = h
	}
	if c.kin = (kin{after: h.Value}); h.Value != 0 {
		l.slots[h.Value-1].kin.before = c.slot + 1
	}
	c.holder, h.Value = h, c.slot+1
	l.clients.ranking.Add(h)
}

// part undoes join.
func (l *loop) part(c *conn) {
	h := c.holder
	if c.kin.before == 0 {
		h.Value = c.kin.after
	} else {
		l.slots[c.kin.before-1].kin.after = c.kin.after
	}
	if c.kin.after != 0 {
		l.slots[c.kin.after-1].kin.before = c.kin.before
	}
	if l.clients.ranking.Remove(h); h.Held() == 0 {
		delete(l.clients.held, client.Of(c.client.Addr()))
	}
}

// of is the number of conns that a client has.
func (c *clients) of(who netip.Addr) int {
	if h := c.held[who]; h != nil {
		return h.Held()
	}
	return 0
}

// crowds says that a client holds so much of all conns that it is refused more, where
// another one would wait: a sixteenth, and two at least.
func (c *clients) crowds(who netip.Addr, all int) bool {
	n := c.of(who)
	return n > 1 && 16*n >= all
}

// The rule by which conns give way to a new one when the files are used up.
const (
	idleEnough = time.Second // a conn that moved a byte since then stays…
	evictPart  = 16          // …as a rule. A client gives up one conn in evictPart at once,
	evictMost  = 64          // and evictMost at most
)

// concede is the rule: of the client with most conns, how many give way at once to a new
// conn of a client that has few, and how long they must have been idle. The new conn's
// client, with that conn, still has fewer than the other one afterwards. A client with
// more than half of all conns gives way even where each of them is busy.
func concede(most, newcomer, all int) (n int, idle time.Duration) {
	n = min(max(most/evictPart, 1), evictMost, most-newcomer-1)
	if 2*most > all {
		return n, 0
	}
	return n, idleEnough
}

// makeRoom ends conns of the client that has most, for a new one of another client, and
// reports whether there were any to end. After a search in vain the next one waits, for
// nothing becomes idle at once.
func (l *loop) makeRoom(who netip.Addr) bool {
	largest := l.clients.ranking.Largest()
	if largest == nil || l.now < l.evictAgain {
		return false
	}
	n, idle := concede(largest.Held(), l.clients.of(who), l.conns)
	if n <= 0 {
		return false
	}
	victims := l.idlest(largest, n, idle)
	for _, c := range victims {
		l.conclude(c, route.Evicted)
	}
	if len(victims) == 0 {
		l.evictAgain = l.now + idleEnough
	}
	return len(victims) > 0
}

// idlest returns the n conns of a client that have been idle for longest, of those that
// have been so for long enough.
func (l *loop) idlest(h *holder, n int, idle time.Duration) []*conn {
	found := make([]*conn, 0, n+1) // in their order
	for slot := h.Value; slot != 0; {
		c := l.slots[slot-1]
		slot = c.kin.after
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
