package udp

import (
	"container/heap"
	"time"

	"anyport/config"
	"anyport/proxy/route"
)

// drain takes no new flows from now on, and lets the live ones come to their end.
func (t *table) drain(now time.Duration) {
	t.draining = true
	t.cut(now, func(*flow) bool { return true })
}

// reloaded drains the flows that a reload leaves no route to, and no more those that one
// gives it back. Where the kernel now hands the datagrams for dst to the host's own sockets,
// flows end at once: the reply socket, which is bound to dst, would catch these datagrams.
func (t *table) reloaded(set *route.Set, now time.Duration) {
	t.set = set
	if t.draining { // they drain already
		return
	}
	var passed []*flow
	t.cut(now, func(f *flow) bool {
		if set.Keeps(config.UDP, f.dst(), f.route) {
			return false
		}
		if set.Passes(config.UDP, f.dst()) {
			passed = append(passed, f)
		}
		return true
	})
	for _, f := range passed {
		t.end(f, route.NoRoute, now)
	}
}

// cut drains the flows that ends names, and no others: each has its route's drain
// timeout left.
func (t *table) cut(now time.Duration, ends func(*flow) bool) {
	for _, f := range t.byDue {
		switch {
		case !ends(f):
			f.cut = 0
		case f.cut == 0:
			f.cut = now + f.route.Drain
		}
		f.due, _ = f.end()
	}
	heap.Init(&t.byDue)
}
