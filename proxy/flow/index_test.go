package flow

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// TestIndex: whatever is added and removed, an index finds what a map does, also where most hashes are
// those of other flows, too.
func TestIndex(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	dice := rand.New(rand.NewPCG(seed, 1))
	dst := netip.MustParseAddrPort("192.0.2.1:53")
	x, want := newIndex[int](), map[Key]*Flow[int]{}
	for range 2 {
		for range 20_000 {
			port := uint16(dice.IntN(60))
			k := KeyOf(netip.AddrPortFrom(dst.Addr(), 1+port), dst)
			if dice.IntN(2) == 0 {
				k.Via = ViaOf(k.Dst, k.Client) // as another peer names it
			}
			if found, _ := x.find(k); found != want[k] {
				t.Fatalf("%v: found %p, want %p", k, found, want[k])
			}
			if want[k] != nil {
				x.remove(k)
				delete(want, k)
			} else {
				want[k] = &Flow[int]{Key: k}
				x.add(want[k])
			}
		}
		for k := range want {
			x.remove(k)
		}
		clear(want)
		if len(x.flows) > 0 {
			t.Fatalf("%d flows are left", len(x.flows))
		}
		x.hash = func(k Key) uint64 { return ^uint64(0) - uint64(k.Client.Port%4) }
	}
}
