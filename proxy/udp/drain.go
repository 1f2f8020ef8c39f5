package udp

import (
	"container/heap"
	"time"

	"anyport/proxy/route"
)

// drain takes no new flows from now on, and lets the live ones come to their end.
func (t *table) drain(now time.Duration) {
	t.draining = true
	t.cut(now, func(*flow) bool { return true })
}

// reloaded drains the flows whose route a reload has taken away.
func (t *table) reloaded(set *route.Set, now time.Duration) {
	t.set = set
	names := map[string]bool{}
	for _, r := range set.Routes {
		names[r.Name] = true
	}
	t.cut(now, func(f *flow) bool { return !names[f.route.Name] })
}

// cut drains the flows that ends names: each has its route's drain timeout left.
func (t *table) cut(now time.Duration, ends func(*flow) bool) {
	for _, f := range t.byDue {
		if f.cut == 0 && ends(f) {
			f.cut = now + f.route.Drain
			f.due, _ = f.end()
		}
	}
	heap.Init(&t.byDue)
}
