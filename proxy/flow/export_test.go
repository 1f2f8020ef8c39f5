package flow

import (
	"net/netip"
	"unsafe"
)

// Held is how many deadlines, clients and routes with a bound a table keeps.
func (t *Table[S]) Held() (deadlines, clients, routes int) {
	return len(t.deadlines), len(t.evictions.kinds[owning].clients) + len(t.evictions.kinds[sharing].clients), len(t.evictions.ofRoute)
}

// NextEvicted is the flow that owns a socket and is evicted first for a new client.
func (t *Table[S]) NextEvicted() *Flow[S] { return t.evictions.kinds[owning].next(clientKey{}) }

// DrainEnd is the latest end of a flow that is drained, or 0.
func (f *Flow[S]) DrainEnd() bool { return f.drainEnd != 0 }

// Sizes are those of what a table keeps of a flow and of a client.
func Sizes[S any]() (flow, client, orderEntry uintptr) {
	return unsafe.Sizeof(Flow[S]{}), unsafe.Sizeof(clientFlows[S]{}), unsafe.Sizeof(entry[S]{})
}

// Slots is how many rate limiters the networks of some addresses have.
func (b *Budgets) Slots(addresses []string) int {
	all := map[any]bool{}
	for _, a := range addresses {
		all[b.slot(netip.MustParseAddr(a))] = true
	}
	return len(all)
}

// DrainQuiet is how long a drained flow may be quiet.
const DrainQuiet = drainQuiet
