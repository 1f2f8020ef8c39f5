package route

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"anyport/config"
)

// admits is the rule, word by word: the longest of allow and deny wins; on
// a tie, deny; an empty allow is everyone.
func admits(c *config.Route, client netip.Addr) bool {
	longest := func(list []netip.Prefix) int {
		bits := -1
		for _, p := range list {
			if p.Contains(client) {
				bits = max(bits, p.Bits())
			}
		}
		return bits
	}
	allow, deny := longest(c.Allow), longest(c.Deny)
	if allow < 0 && deny < 0 {
		return len(c.Allow) == 0
	}
	return allow > deny
}

func TestSourcesAgainstNaive(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	address := func() netip.Addr { // few bits vary, so that prefixes nest and tie
		if low := byte(random.IntN(16)); random.IntN(2) == 0 {
			return netip.AddrFrom4([4]byte{198, 51, 100, low})
		} else {
			return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: low})
		}
	}
	prefixes := func() (list []netip.Prefix) {
		for range random.IntN(5) {
			a := address()
			p, _ := a.Prefix([]int{0, a.BitLen() - random.IntN(5)}[min(1, random.IntN(6))])
			list = append(list, p)
		}
		return list
	}
	for range 2000 {
		c := &config.Route{Allow: prefixes(), Deny: prefixes()}
		s := newSources(c)
		for range 20 {
			a := address()
			if got, want := s.admit(a), admits(c, a); got != want {
				t.Fatalf("allow %v, deny %v: %v is admitted: %v, want %v", c.Allow, c.Deny, a, got, want)
			}
			if a.Is4() && s.admit(netip.AddrFrom16(a.As16())) != admits(c, a) {
				t.Fatalf("%v gets round the rules in its mapped form", a)
			}
		}
	}
}
