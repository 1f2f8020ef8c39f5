package ruleset_test

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"anyport/cmd/anyport/internal/ruleset"
)

// TestIndex compares conditions of many tuples with the same ones that no walker has prepared, which ask each tuple.
func TestIndex(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	for range 300 {
		plain := randomCondition(random)
		rule := &ruleset.Rule{Conditions: []ruleset.Condition{plain}}
		ruleset.NewWalker(&ruleset.Ruleset{Chains: []*ruleset.Chain{{Rules: []*ruleset.Rule{rule}}}})
		prepared := rule.Conditions[0]
		for range 300 {
			p := ruleset.Packet{
				Source:      netip.AddrPortFrom(randomAddr(random), 1),
				Destination: netip.AddrPortFrom(randomAddr(random), uint16(random.IntN(4))),
			}
			if got, want := prepared.Holds(p), plain.Holds(p); got != want {
				t.Fatalf("%+v of %+v: %v, want %v", p, plain, got, want)
			}
			dst := p.Destination.Addr()
			got, want := slices.Collect(prepared.Tuples(dst)), slices.Collect(plain.Tuples(dst))
			if len(got) != len(want) {
				t.Fatalf("%d tuples for %v of %+v, want %d", len(got), dst, plain, len(want))
			}
		}
		if all := slices.Collect(prepared.Tuples(netip.Addr{})); len(all) != len(plain.Any) {
			t.Fatalf("%d tuples of %d", len(all), len(plain.Any))
		}
	}
}

// randomCondition has tuples of one address, of prefixes of several lengths, of ranges that are no prefixes, and without
// an address.
func randomCondition(random *rand.Rand) ruleset.Condition {
	c := ruleset.Condition{Not: random.IntN(2) == 0}
	for range random.IntN(40) {
		port := uint32(random.IntN(4))
		tuple := []ruleset.Atom{{Field: ruleset.DestinationPort, Numbers: []ruleset.Range{{First: port, Last: port}}}}
		for range random.IntN(3) {
			tuple = append(tuple, ruleset.Atom{
				Field:     []ruleset.Field{ruleset.Source, ruleset.Destination, ruleset.Destination}[random.IntN(3)],
				Addresses: []ruleset.AddressRange{randomRange(random)},
			})
		}
		c.Any = append(c.Any, tuple)
	}
	return c
}

func randomRange(random *rand.Rand) ruleset.AddressRange {
	first, last := randomAddr(random), randomAddr(random)
	switch {
	case random.IntN(2) == 0:
		return ruleset.AddressRange{First: first, Last: first}
	case random.IntN(2) == 0 && first.BitLen() == last.BitLen() && first.Less(last):
		return ruleset.AddressRange{First: first, Last: last}
	}
	bits := 1 + random.IntN(4)
	network, _ := first.Prefix(first.BitLen() - bits)
	bytes := network.Addr().AsSlice()
	bytes[len(bytes)-1] |= 1<<bits - 1
	last, _ = netip.AddrFromSlice(bytes)
	return ruleset.AddressRange{First: network.Addr(), Last: last}
}

// randomAddr is one of few, so that ranges overlap.
func randomAddr(random *rand.Rand) netip.Addr {
	host := byte(random.IntN(32))
	if random.IntN(4) == 0 {
		return netip.AddrFrom16([16]byte{0: 0x20, 15: host})
	}
	return netip.AddrFrom4([4]byte{192, 0, 2, host})
}
