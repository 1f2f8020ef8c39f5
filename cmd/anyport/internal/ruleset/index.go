package ruleset

import (
	"iter"
	"net/netip"
	"slices"
)

// index finds the tuples of a condition that may hold for a packet by one of its addresses: sets of ipset such as
// hash:ip,port have tens of thousands of tuples, and a walk asks for each packet. It works as the kernel's hash:net
// does: one map for all prefixes, asked once for each length that occurs. A range is under the prefix that holds it, so
// the candidates are more than those that hold.
type index struct {
	field    Field // Source or Destination
	byPrefix map[netip.Prefix][]int
	lengths  []netip.Prefix // one prefix for each family and length in byPrefix
	others   []int          // tuples that have not one range of that field
}

// fewTuples are searched as fast without an index.
const fewTuples = 16

// newIndex returns the index of tuples by the field that more of them have a range of; nil if no index is worth it.
func newIndex(tuples [][]Atom) *index {
	if len(tuples) < fewTuples {
		return nil
	}
	bySource, byDestination := indexBy(Source, tuples), indexBy(Destination, tuples)
	best := byDestination
	if len(bySource.others) < len(byDestination.others) {
		best = bySource
	}
	if len(best.others) == len(tuples) {
		return nil
	}
	return best
}

func indexBy(field Field, tuples [][]Atom) *index {
	x := &index{field: field, byPrefix: map[netip.Prefix][]int{}}
	lengths := map[[2]int]bool{}
	for i, tuple := range tuples {
		p, ok := prefixOf(field, tuple)
		if !ok {
			x.others = append(x.others, i)
			continue
		}
		x.byPrefix[p] = append(x.byPrefix[p], i)
		if kind := [2]int{p.Addr().BitLen(), p.Bits()}; !lengths[kind] {
			lengths[kind] = true
			x.lengths = append(x.lengths, p)
		}
	}
	return x
}

// prefixOf returns the smallest prefix that holds what a tuple asks of a field, if that is one range.
func prefixOf(field Field, tuple []Atom) (p netip.Prefix, ok bool) {
	i := slices.IndexFunc(tuple, func(a Atom) bool { return a.Field == field && len(a.Addresses) == 1 })
	if i < 0 {
		return p, false
	}
	r := tuple[i].Addresses[0]
	for bits := r.First.BitLen(); bits >= 0; bits-- {
		if p, err := r.First.Prefix(bits); err == nil && p.Contains(r.Last) {
			return p, true
		}
	}
	return p, false // two families
}

// candidates calls with for the tuples that may hold for p, until it returns true.
func (x *index) candidates(p Packet, with func(tuple int) bool) bool {
	ip := p.Destination.Addr()
	if x.field == Source {
		ip = p.Source.Addr()
	}
	for _, like := range x.lengths {
		if like.Addr().BitLen() != ip.BitLen() {
			continue
		}
		network, _ := ip.Prefix(like.Bits()) // the length fits the family
		if slices.ContainsFunc(x.byPrefix[network], with) {
			return true
		}
	}
	return slices.ContainsFunc(x.others, with)
}

// Tuples yields the tuples of c that may hold for packets to dst; all of them if dst is not valid.
func (c Condition) Tuples(dst netip.Addr) iter.Seq[[]Atom] {
	return func(yield func([]Atom) bool) {
		if c.index != nil && c.index.field == Destination && dst.IsValid() {
			c.index.candidates(Packet{Destination: netip.AddrPortFrom(dst, 0)}, func(i int) bool { return mayHold(c.Any[i], dst) && !yield(c.Any[i]) })
			return
		}
		for _, tuple := range c.Any {
			if mayHold(tuple, dst) && !yield(tuple) {
				return
			}
		}
	}
}

func mayHold(tuple []Atom, dst netip.Addr) bool {
	return !dst.IsValid() || !slices.ContainsFunc(tuple, func(a Atom) bool { return a.Field == Destination && !a.address(dst) })
}
