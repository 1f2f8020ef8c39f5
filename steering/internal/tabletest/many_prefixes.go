package tabletest

import (
	"math/rand/v2"
	"net/netip"

	"anyport/config"
)

// ManyPrefixes has half of them in IPv4, half in IPv6, of which a few lie in others.
func ManyPrefixes(n int, name string) *config.Config {
	all := [2]*config.Route{Route(name+"-v4", "1-65535"), Route(name+"-v6", "1-32767")}
	random := rand.New(rand.NewPCG(uint64(len(name)), 0))
	for i, r := range all {
		seen := map[netip.Prefix]bool{}
		for len(r.Prefixes) < n/2 {
			p := somePrefix(random, i == 0)
			if !seen[p] {
				seen[p] = true
				r.Prefixes = append(r.Prefixes, p)
			}
		}
	}
	return &config.Config{Routes: all[:]}
}

func somePrefix(random *rand.Rand, v4 bool) netip.Prefix {
	word, longer := random.Uint32(), random.IntN(16) == 0
	if v4 {
		a := netip.AddrFrom4([4]byte{byte(1 + word>>24%126), byte(word >> 16), byte(word >> 8), byte(word)})
		return netip.PrefixFrom(a, 28).Masked()
	}
	a := [16]byte{0x20, 0x01, 0x0d, byte(word >> 24), byte(word >> 16), byte(word >> 8), byte(word)}
	if longer {
		return netip.PrefixFrom(netip.AddrFrom16(a), 64)
	}
	return netip.PrefixFrom(netip.AddrFrom16(a), 56)
}
