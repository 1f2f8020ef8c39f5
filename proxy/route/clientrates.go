package route

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"anyport/proxy/client"
)

// clientRates bounds the new conns and flows of each client of each route, for
// new_conns_per_second_per_client. All loops and routes share one. After an upgrade all clients begin
// again with a full second.
//
// It is two rows of rate limiters (GCRA, ITU-T I.371), by two hashes of the client and the route, as in
// a count-min sketch: a client is over its rate only if it is so in both rows. No number of clients
// makes it grow, and a client that shares a limiter with a busy one has another limiter in the other
// row. The seeds are random, so nobody can choose to share both with a victim.
type clientRates struct {
	seeds [2]maphash.Seed

	mu   sync.Mutex
	rows [2][clientRateCells]int64 // by cell, when a whole second is free again, in ns since epoch
}

// clientRateCells is the number of limiters in a row. Both rows take 512 KiB.
const clientRateCells = 1 << 15

func newClientRates() *clientRates {
	return &clientRates{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
}

// clientOfRoute is what a limiter is for.
type clientOfRoute struct {
	route  string
	client netip.Addr
}

// cells are the limiters of a client of a route.
func (c *clientRates) cells(route string, from netip.Addr) (a, b *int64) {
	k := clientOfRoute{route, client.Of(from)}
	return &c.rows[0][maphash.Comparable(c.seeds[0], k)%clientRateCells],
		&c.rows[1][maphash.Comparable(c.seeds[1], k)%clientRateCells]
}

// take counts n new conns or flows, 1 or 0, and reports whether one is within the rate; one second's
// worth may come at once. What is refused is not counted, so a client that keeps trying still gets its rate.
func (c *clientRates) take(route string, from netip.Addr, n, perSecond int, now time.Duration) bool {
	a, b := c.cells(route, from)
	c.mu.Lock()
	defer c.mu.Unlock()
	cost := int64(time.Second) / int64(perSecond)
	used := max(min(*a, *b), int64(now))
	if used+cost-int64(now) > int64(time.Second) {
		return false
	}
	used += int64(n) * cost
	*a, *b = max(*a, used), max(*b, used)
	return true
}

// giveBack undoes take of one. It lowers one of the two limiters, which is enough for the client: the
// other one may be that of a busy client, which take did not raise, and which must not get more.
func (c *clientRates) giveBack(route string, from netip.Addr, perSecond int) {
	a, b := c.cells(route, from)
	c.mu.Lock()
	defer c.mu.Unlock()
	cost := int64(time.Second) / int64(perSecond)
	if *b < *a {
		a = b
	}
	*a -= cost
}
