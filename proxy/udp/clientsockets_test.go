package udp

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"anyport/proxy/flow"
)

// TestClientSockets: of many loops that want the same ends at once, one has them, until it gives them back.
func TestClientSockets(t *testing.T) {
	c := clientSockets{ends: map[flow.Key]bool{}}
	client, origin := netip.MustParseAddrPort("198.51.100.2:7777"), netip.MustParseAddrPort("10.0.0.5:53")
	k := flow.KeyOf(client, origin)
	for range 2 {
		var took atomic.Int32
		var loops sync.WaitGroup
		for range 8 {
			loops.Go(func() {
				if c.take(k) {
					took.Add(1)
				}
			})
		}
		loops.Wait()
		if took.Load() != 1 {
			t.Errorf("%d loops have the same ends", took.Load())
		}
		if other := flow.KeyOf(client, netip.MustParseAddrPort("10.0.0.6:53")); !c.take(other) {
			t.Error("another origin is taken too")
		} else {
			c.give(other)
		}
		c.give(k)
	}
	if len(c.ends) != 0 {
		t.Errorf("%d ends are left", len(c.ends))
	}
}
