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
// gives it back.
func (t *table) reloaded(set *route.Set, now time.Duration) {
	t.set = set
	if t.draining { // they drain already
		return
	}
	t.cut(now, func(f *flow) bool { return !set.Keeps(config.UDP, f.dst(), f.route) })
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
