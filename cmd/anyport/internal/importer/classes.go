package importer

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"

	"anyport/cmd/anyport/internal/ruleset"
)

// span is a range of values, both ends included.
type span[T any] struct{ first, last T }

// class is the values of a field that no rule tells apart, as sorted spans. The first value of the
// first span stands for all.
type class[T any] []span[T]

// order is what a field's values need.
type order[T any] struct {
	compare func(a, b T) int
	next    func(T) T // of a value that is not the last
	before  func(T) T // of a value that is not the first
}

var portOrder = order[uint16]{cmp.Compare[uint16], func(p uint16) uint16 { return p + 1 }, func(p uint16) uint16 { return p - 1 }}

var addrOrder = order[netip.Addr]{netip.Addr.Compare, netip.Addr.Next, netip.Addr.Prev}

// change is a bound of a list: how many of its spans hold the values from here on changes by one.
type change[T any] struct {
	at   T
	list int
	by   int
}

// changes are the bounds of all lists inside of whole, sorted. A span that ends where whole does has no end here.
func (o order[T]) changes(whole span[T], lists [][]span[T]) (all []change[T]) {
	for i, list := range lists {
		for _, s := range list {
			if o.compare(s.last, whole.first) < 0 || o.compare(whole.last, s.first) < 0 {
				continue
			}
			if o.compare(s.first, whole.first) < 0 {
				s.first = whole.first
			}
			all = append(all, change[T]{s.first, i, 1})
			if o.compare(s.last, whole.last) < 0 {
				all = append(all, change[T]{o.next(s.last), i, -1})
			}
		}
	}
	slices.SortFunc(all, func(a, b change[T]) int { return o.compare(a.at, b.at) })
	return all
}

// membership is which lists hold a value, during a sweep from the first value to the last. A list is named by a random
// number, and a set of lists by the XOR of these: with 64 bits two sets of a million are taken for one with a
// probability of 1 in 10⁷. To compare the sets themselves would take the square of the number of rules.
type membership struct {
	names []uint64
	depth []int // of each list: spans of one list may overlap, so it holds a value as long as one of them does
	set   uint64
}

// newMembership is that of no list. The seed is fixed: an import gives the same file each time.
func newMembership(lists int) *membership {
	random := rand.New(rand.NewPCG(1, 2))
	m := &membership{names: make([]uint64, lists), depth: make([]int, lists)}
	for i := range m.names {
		m.names[i] = random.Uint64()
	}
	return m
}

// apply enters or leaves a span of a list. The set changes only with the first or last span that holds the value.
func (m *membership) apply(list, by int) {
	held := m.depth[list] > 0
	if m.depth[list] += by; held != (m.depth[list] > 0) {
		m.set ^= m.names[list]
	}
}

// split divides whole at all ends of the lists, and puts together the pieces that are in the same lists.
// The classes together hold each value of whole once: what is not in a class would be lost by the import.
func (o order[T]) split(whole span[T], lists [][]span[T]) []class[T] {
	var all []class[T]
	known := map[uint64]int{} // index in all, by the set
	changes, in, from := o.changes(whole, lists), newMembership(len(lists)), whole.first
	for i := 0; i < len(changes); {
		at, before := changes[i].at, in.set
		for ; i < len(changes) && o.compare(changes[i].at, at) == 0; i++ {
			in.apply(changes[i].list, changes[i].by)
		}
		if in.set != before && o.compare(at, whole.first) > 0 {
			all = addTo(all, known, before, span[T]{from, o.before(at)})
			from = at
		}
	}
	return addTo(all, known, in.set, span[T]{from, whole.last})
}

// addTo appends v to the list of its key. A new key has its list behind the others; known has the index
// of each.
func addTo[K comparable, L ~[]V, V any](lists []L, known map[K]int, key K, v V) []L {
	i, met := known[key]
	if !met {
		i = len(lists)
		known[key] = i
		lists = append(lists, nil)
	}
	lists[i] = append(lists[i], v)
	return lists
}

// fields are the values of all fields that the rules name, as far as packets can have them.
type fields struct {
	destination, source         [][]span[netip.Addr]
	destinationPort, sourcePort [][]span[uint16]
	interfaces                  []string
	local                       bool // a rule asks whether dst is this host's
}

// fieldsOf collects what the rules of all chains ask for, of packets to one dst if it is valid: thousands
// of rules, each for a dst and ports of its own, would otherwise make millions of kinds of packets.
func fieldsOf(s *ruleset.Ruleset, dst netip.Addr) *fields {
	f := &fields{}
	for _, c := range s.Chains {
		for _, r := range c.Rules {
			if dst.IsValid() && slices.ContainsFunc(r.Conditions, func(c ruleset.Condition) bool { return excludes(c, dst) }) {
				continue
			}
			for _, condition := range r.Conditions {
				for tuple := range condition.Tuples(dst) {
					for _, a := range tuple {
						f.add(a)
					}
				}
			}
		}
	}
	return f
}

// excludes reports whether a condition holds for no packet to dst.
func excludes(c ruleset.Condition, dst netip.Addr) bool {
	if len(c.Any) != 1 || len(c.Any[0]) != 1 || c.Any[0][0].Field != ruleset.Destination {
		return false
	}
	return !c.Holds(ruleset.Packet{Destination: netip.AddrPortFrom(dst, 0)})
}

// add notes the bounds that an atom has. Marks and states are left out: a first packet has mark 0 and the state new.
func (f *fields) add(a ruleset.Atom) {
	switch a.Field {
	case ruleset.Destination:
		f.destination = append(f.destination, addressSpans(a.Addresses))
	case ruleset.Source:
		f.source = append(f.source, addressSpans(a.Addresses))
	case ruleset.DestinationPort:
		f.destinationPort = append(f.destinationPort, portSpans(a.Numbers))
	case ruleset.SourcePort:
		f.sourcePort = append(f.sourcePort, portSpans(a.Numbers))
	case ruleset.Interface:
		f.interfaces = append(f.interfaces, a.Names...)
	case ruleset.LocalDestination:
		f.local = true
	}
}

func addressSpans(all []ruleset.AddressRange) (spans []span[netip.Addr]) {
	for _, r := range all {
		spans = append(spans, span[netip.Addr]{r.First, r.Last})
	}
	return spans
}

// portSpans leaves out what no port is: the range of "!= 80" ends at 65535, that of a wrong rule may not.
func portSpans(all []ruleset.Range) (spans []span[uint16]) {
	for _, r := range all {
		if r.First <= 65535 {
			spans = append(spans, span[uint16]{uint16(r.First), uint16(min(r.Last, 65535))})
		}
	}
	return spans
}

func prefixSpans(all []netip.Prefix) (spans []span[netip.Addr]) {
	for _, p := range all {
		spans = append(spans, span[netip.Addr]{p.Masked().Addr(), lastOf(p)})
	}
	return spans
}

// of keeps the spans of one family.
func of(lists [][]span[netip.Addr], is4 bool) [][]span[netip.Addr] {
	var all [][]span[netip.Addr]
	for _, list := range lists {
		all = append(all, slices.DeleteFunc(slices.Clone(list), func(s span[netip.Addr]) bool { return s.first.Is4() != is4 }))
	}
	return all
}

// everything is all addresses of a family.
func everything(is4 bool) span[netip.Addr] {
	if is4 {
		return span[netip.Addr]{netip.AddrFrom4([4]byte{}), netip.AddrFrom4([4]byte{255, 255, 255, 255})}
	}
	return span[netip.Addr]{netip.IPv6Unspecified(), lastOf(netip.PrefixFrom(netip.IPv6Unspecified(), 0))}
}

// interfaceNames returns one name for each set of names that the rules tell apart. "any" is one that no
// rule names.
func interfaceNames(named []string) []string {
	candidates := []string{anyInterface}
	for _, n := range named {
		if last := len(n) - 1; last >= 0 && (n[last] == '+' || n[last] == '*') {
			candidates = append(candidates, n[:last]+anyInterface)
		} else {
			candidates = append(candidates, n)
		}
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(candidates, func(c string) bool {
		was := seen[c]
		seen[c] = true
		return was
	})
}

// anyInterface is too long for the name of an interface, so that no rule has it.
const anyInterface = "any-other-interface"
