package tcp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"anyport/proxy/client"
)

func TestEvictionRule(t *testing.T) {
	for _, c := range []struct {
		most, newcomer, all int
		n                   int
		idle                time.Duration
	}{
		{1, 0, 10, 0, idleEnough},             // both would have one
		{2, 0, 10, 1, idleEnough},             // then both have one
		{2, 1, 10, 0, idleEnough},             // two, and two with the new one
		{5, 3, 100, 1, idleEnough},            //
		{32, 0, 100, 2, idleEnough},           //
		{50, 0, 100, 3, idleEnough},           // half is not more than half
		{51, 0, 100, 3, 0},                    // more than half: busy ones, too
		{40, 38, 100, 1, idleEnough},          //
		{40, 39, 100, 0, idleEnough},          //
		{100_000, 0, 500_000, 64, idleEnough}, // a batch is bounded
		{100_000, 99_990, 500_000, 9, idleEnough},
	} {
		if n, idle := evictionRule(c.most, c.newcomer, c.all); max(n, 0) != c.n || idle != c.idle {
			t.Errorf("evictionRule(%d, %d, %d) = %d, %v, want %d, %v", c.most, c.newcomer, c.all, n, idle, c.n, c.idle)
		}
	}
}

// TestMakeRoom begins and ends conns at random and holds who gives way against a search of
// all conns. Addresses of one IPv6 /64 are one client.
func TestMakeRoom(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	f := newFakeConn()
	f.closeConn(f.conn, 0)
	l, alive := f.loop, []*conn{}
	address := func() netip.Addr {
		return netip.MustParseAddr(fmt.Sprintf("2001:db8:0:%x::%x", random.IntN(6)*random.IntN(2), random.IntN(99)))
	}
	for range often(6_000) {
		l.now += time.Duration(random.IntN(100)) * time.Millisecond
		switch dice := random.IntN(10); {
		case dice < 5:
			c := &conn{client: netip.AddrPortFrom(address(), 1), route: f.conn.route, ends: [2]end{{fd: -1}, {fd: -1}}}
			l.addConn(c)
			alive = append(alive, c)
		case dice < 7 && len(alive) > 0:
			alive[random.IntN(len(alive))].active = l.now
		case dice < 8 && len(alive) > 0:
			i := random.IntN(len(alive))
			l.closeConn(alive[i], 0)
			alive = slices.Delete(alive, i, i+1)
		default:
			who := client.Of(address())
			before, n, idle := counts(alive), 0, time.Duration(0)
			largest, barred := l.clients.ranking.Largest(), l.now < l.evictNotBefore
			if largest != nil {
				n, idle = evictionRule(largest.Held(), before[who], len(alive))
			}
			made := l.evictFor(who)
			alive = checkRoom(t, l, alive, who, made, n, idle, barred)
		}
		for who, n := range counts(alive) {
			if got := l.clients.count(who); got != n {
				t.Fatalf("%v has %d conns, want %d", who, got, n)
			}
		}
		if l.connCount != len(alive) || len(l.clients.holders) != len(counts(alive)) {
			t.Fatalf("%d conns of %d clients, want %d of %d", l.connCount, len(l.clients.holders), len(alive), len(counts(alive)))
		}
	}
}

func counts(conns []*conn) map[netip.Addr]int {
	n := map[netip.Addr]int{}
	for _, c := range conns {
		n[client.Of(c.client.Addr())]++
	}
	return n
}

// checkRoom checks which conns were evicted, and returns those that are left.
func checkRoom(t *testing.T, l *loop, before []*conn, who netip.Addr, made bool, n int, idle time.Duration, barred bool) (left []*conn) {
	t.Helper()
	var gone []*conn
	for _, c := range before {
		if c.state == closed {
			gone = append(gone, c)
		} else {
			left = append(left, c)
		}
	}
	if made != (len(gone) > 0) {
		t.Fatalf("%d conns gave way, and makeRoom says %v", len(gone), made)
	}
	was, now := counts(before), counts(left)
	most := 0
	for _, n := range was {
		most = max(most, n)
	}
	for _, c := range gone {
		of := client.Of(c.client.Addr())
		if was[of] != most || now[of] < now[who]+1 || l.now-c.active < idle || of != client.Of(gone[0].client.Addr()) {
			t.Fatalf("a conn of %v gave way, of %d, to %v with %d; the largest had %d; idle for %v", of, was[of], who, was[who], most, l.now-c.active)
		}
		for _, stays := range left {
			if client.Of(stays.client.Addr()) == of && stays.active < c.active {
				t.Fatal("a conn gave way before one that has been idle for longer")
			}
		}
	}
	if n > 0 && !barred && len(gone) == 0 && idleClients(before, l.now, idle) == len(was) {
		t.Fatal("none gave way, and every client has one that could")
	}
	return left
}

// idleClients counts the clients with a conn that has been idle for long enough.
func idleClients(conns []*conn, now, idle time.Duration) int {
	clients := map[netip.Addr]bool{}
	for _, c := range conns {
		if now-c.active >= idle {
			clients[client.Of(c.client.Addr())] = true
		}
	}
	return len(clients)
}
