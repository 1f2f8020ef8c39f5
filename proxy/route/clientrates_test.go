package route

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

func ipv4(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
}

// TestClientRate takes as much as a client may at once, one beyond, and what a second brings back.
// Other clients and routes are not affected, and an IPv6 /64 is one client.
func TestClientRate(t *testing.T) {
	for _, rate := range []int{1, 3, 1000, 1_000_000} {
		c, who, now := newClientRates(), netip.MustParseAddr("2001:db8::1"), time.Hour
		takes := func(most int) (n int) {
			for n <= most && c.take("web", who, 1, rate, now) {
				n++
			}
			return n
		}
		if c.take("web", who, 0, rate, now); takes(rate) != rate {
			t.Errorf("%d a second cannot all come at once", rate)
		}
		if c.take("web", netip.MustParseAddr("2001:db8::2"), 1, rate, now) {
			t.Errorf("%d a second: another address of the /64 gets more", rate)
		}
		if !c.take("web", netip.MustParseAddr("2001:db8:0:1::1"), 1, rate, now) || !c.take("other", who, 1, rate, now) {
			t.Errorf("%d a second: another client, or route, is refused", rate)
		}
		now += time.Second / time.Duration(rate)
		if n := takes(rate); n != 1 {
			t.Errorf("%d a second: %d after a %dth of it", rate, n, rate)
		}
		if c.giveBack("web", who, rate); takes(rate) != 1 {
			t.Errorf("%d a second: what is given back cannot be taken", rate)
		}
		now += 10 * time.Second
		if n := takes(rate); n != rate {
			t.Errorf("%d a second: %d after a pause", rate, n)
		}
	}
}

// TestClientRateAgainstOracle has random clients come at random, and compares with one limiter for each.
// What the table admits is never less than the oracle by more than a few clients that share both of
// their limiters.
func TestClientRateAgainstOracle(t *testing.T) {
	const rate, clients, conns = 5, 2000, 200_000
	c, exact := newClientRates(), map[netip.Addr]time.Duration{}
	now, admitted, differ := time.Hour, 0, 0
	for range conns {
		now += time.Duration(rand.IntN(int(40 * time.Microsecond)))
		who := ipv4(uint32(rand.IntN(clients)))
		used := max(exact[who], now) + time.Second/rate
		want := used-now <= time.Second
		if want {
			exact[who] = used
			admitted++
		}
		if got := c.take("web", who, 1, rate, now); got != want {
			differ++
		}
	}
	if differ > admitted/20 {
		t.Errorf("%d of %d decisions differ, with %d admitted", differ, conns, admitted)
	}
}

// TestClientRateUnderFlood has a thousand clients use up their rate at every moment: of ten thousand
// others nearly all get in.
func TestClientRateUnderFlood(t *testing.T) {
	c, now, refused := newClientRates(), time.Hour, 0
	for n := range uint32(1000) {
		for c.take("web", ipv4(n), 1, 10, now) {
		}
	}
	for n := range uint32(10_000) {
		if !c.take("web", ipv4(1<<20+n), 1, 10, now) {
			refused++
		}
	}
	if refused > 100 {
		t.Errorf("%d of 10000 clients are refused for what others did", refused)
	}
}

// TestGiveBackToOne: what one client gives back is not a busy client's who shares one of its limiters.
func TestGiveBackToOne(t *testing.T) {
	const rate = 10
	c, busy, now := newClientRates(), ipv4(1), time.Hour
	first, second := c.cells("web", busy)
	for n := uint32(2); ; n++ {
		who := ipv4(n)
		if a, b := c.cells("web", who); a != first || b == second {
			continue
		}
		for range rate {
			c.take("web", busy, 1, rate, now)
		}
		if !c.take("web", who, 1, rate, now) {
			t.Fatal("a client is refused that shares one limiter")
		}
		before := *first
		if c.giveBack("web", who, rate); *first != before {
			t.Errorf("the busy client gets %v more", time.Duration(before-*first))
		}
		for n := range rate {
			if !c.take("web", who, 1, rate, now) {
				t.Errorf("number %d of a client that has given one back is refused", n+1)
			}
		}
		return
	}
}
