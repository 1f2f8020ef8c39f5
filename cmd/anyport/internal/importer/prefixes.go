package importer

import (
	"math"
	"net/netip"
	"slices"
)

// lastOf is the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	last := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(last)*8; i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	end, _ := netip.AddrFromSlice(last)
	return end
}

// prefixesOf covers a span with the fewest prefixes.
func prefixesOf(s span[netip.Addr]) (all []netip.Prefix) {
	for first := s.first; ; {
		bits := first.BitLen()
		for bits > 0 {
			wider := netip.PrefixFrom(first, bits-1)
			if wider.Masked().Addr() != first || lastOf(wider).Compare(s.last) > 0 {
				break
			}
			bits--
		}
		p := netip.PrefixFrom(first, bits)
		all = append(all, p)
		if lastOf(p) == s.last {
			return all
		}
		first = lastOf(p).Next()
	}
}

// labelled is one prefix of several with labels, of which for each address the longest holds.
type labelled struct {
	prefix netip.Prefix
	label  int
	outer  int // label of the prefix around it; none: it has none
}

// none is the label of no prefix.
const none = -1

// trie finds few prefixes for a division of the addresses of one family: each node keeps the labels
// that cost least below it (Draves and others, Constructing Optimal IP Routing Tables, 1999). Unlike
// there, a prefix may only cover addresses that have a label.
type trie struct {
	child  [2]*trie
	labels []int // that cost least; nil: an address below it has no label
	apart  bool  // the halves have none in common: each gets its own, which costs no more
	weight float64
	served float64 // the part of weight that must have a prefix
}

// insert adds a prefix, which no other one overlaps.
func (t *trie) insert(p netip.Prefix, label int, served bool) {
	at := t
	for i := range p.Bits() {
		b := bit(p.Addr(), i)
		if at.child[b] == nil {
			at.child[b] = &trie{}
		}
		at = at.child[b]
	}
	at.labels, at.weight = []int{label}, math.Ldexp(1, -p.Bits())
	if served {
		at.served = at.weight
	}
}

func bit(ip netip.Addr, i int) int {
	if ip.Is4() {
		b := ip.As4()
		return int(b[i/8]>>(7-i%8)) & 1
	}
	b := ip.As16()
	return int(b[i/8]>>(7-i%8)) & 1
}

// weigh works out labels and weights of the inner nodes.
func (t *trie) weigh() {
	if t.child == [2]*trie{} {
		return
	}
	for _, c := range t.child {
		if c != nil {
			c.weigh()
			t.weight, t.served = t.weight+c.weight, t.served+c.served
		}
	}
	if t.child[0] == nil || t.child[1] == nil || t.child[0].labels == nil || t.child[1].labels == nil {
		return
	}
	for _, l := range t.child[0].labels {
		if slices.Contains(t.child[1].labels, l) {
			t.labels = append(t.labels, l)
		}
	}
	if t.apart = t.labels == nil; t.apart {
		t.labels = append(slices.Clone(t.child[0].labels), t.child[1].labels...)
		slices.Sort(t.labels)
	}
}

// choose yields the prefixes. At the top a prefix is taken if most of its addresses are served.
func (t *trie) choose(at netip.Prefix, outer int, yield func(labelled)) {
	if t == nil || t.labels == nil && outer != none {
		return
	}
	if t.labels == nil || t.apart || outer == none && t.served < t.weight/2 {
		t.descend(at, outer, yield)
		return
	}
	if !slices.Contains(t.labels, outer) {
		yield(labelled{at, t.labels[0], outer})
		outer = t.labels[0]
	}
	t.descend(at, outer, yield)
}

// descend goes on in both halves of a prefix, whose label is outer unless they choose another.
func (t *trie) descend(at netip.Prefix, outer int, yield func(labelled)) {
	for b, c := range t.child {
		if c != nil {
			c.choose(half(at, b), outer, yield)
		}
	}
}

// half is the lower or upper half of a prefix.
func half(p netip.Prefix, upper int) netip.Prefix {
	ip := p.Addr().AsSlice()
	if upper == 1 {
		ip[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
	}
	addr, _ := netip.AddrFromSlice(ip)
	return netip.PrefixFrom(addr, p.Bits()+1)
}

// cover finds the prefixes for classes of one family. label returns none where a class needs no
// prefix and must have none.
func cover(is4 bool, classes []class[netip.Addr], label func(i int) (label int, served bool)) (all []labelled) {
	root := &trie{}
	for i, c := range classes {
		l, served := label(i)
		if l == none {
			continue
		}
		for _, s := range c {
			for _, p := range prefixesOf(s) {
				root.insert(p, l, served)
			}
		}
	}
	root.weigh()
	root.choose(netip.PrefixFrom(everything(is4).first, 0), none, func(l labelled) { all = append(all, l) })
	return all
}
