package steering

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"anyport/bpf"
)

// half is the room for one generation in the maps of steer.bpf.c. The arrays have a
// half for each of the two; in the tries they are told apart by their keys.
type half struct {
	maps       *bpf.SteerMaps
	generation uint32 // 0 or 1
	intervals  uint32 // room for these, and the index of the first
	bindings   uint32
	trie       uint32 // room for these in each of the tries
	admissions uint32 // room for these, with the other half together
}

// fill writes table into h. The numbers are those of the routes, by name.
func (h half) fill(table *Table, numbers map[string]uint32) error {
	if err := h.fits(table); err != nil {
		return err
	}
	m := h.maps
	return errors.Join(
		put(m.Bindings, h.bindingEntries(table, numbers)),
		put(m.Intervals, h.intervalEntries(table)),
		put(m.Sources, h.sourceEntries(table)),
		put(m.PrefixesV4, h.v4Entries(table)),
		put(m.PrefixesV6, h.v6Entries(table)),
	)
}

// erase takes table out of h again; what fill had not written yet is no error. The
// arrays keep what they had: nothing leads there.
func (h half) erase(table *Table) error {
	m := h.maps
	if table == unknown {
		return h.sweep()
	}
	return errors.Join(
		remove(m.PrefixesV6, h.v6Entries(table)),
		remove(m.PrefixesV4, h.v4Entries(table)),
		remove(m.Sources, h.sourceEntries(table)),
	)
}

// fits says what to do when table is larger than the maps, whose sizes cannot change.
func (h half) fits(table *Table) error {
	if n := len(table.intervals); n > int(h.intervals) {
		return fmt.Errorf("the routes make %d port intervals and the running program has room for %d: restart it, after `anyport unload` where steering.pin is set", n, h.intervals)
	}
	if n := len(table.bindings); n > int(h.bindings) {
		return fmt.Errorf("there are %d routes and the running program has room for %d: restart it, after `anyport unload` where steering.pin is set", n-1, h.bindings-1)
	}
	if n, room := table.admissions(), h.admissions; n > int(room) {
		return fmt.Errorf("the routes with new_conns_per_second have %d conns and flows to remember and the running program has room for %d: set max_flows to less, or restart it, after `anyport unload` where steering.pin is set", n, room)
	}
	return h.triesFit(table)
}

// triesFit looks at the maps that are as large as they can be, with two tables in each.
func (h half) triesFit(table *Table) error {
	v4, v6 := table.sizes()
	clients := 0
	for range h.sourceEntries(table) {
		clients++
	}
	for what, n := range map[string]int{"IPv4 prefixes": v4, "IPv6 prefixes": v6, "prefixes in allow and deny": clients} {
		if n > int(h.trie) {
			return fmt.Errorf("there are %d %s and the kernel's tables have room for %d: join neighbours, or split the file between hosts", n, what, h.trie)
		}
	}
	return nil
}

func (h half) firstInterval() uint32 { return h.generation * h.intervals }
func (h half) firstBinding() uint32  { return h.generation * h.bindings }

func (h half) bindingEntries(table *Table, numbers map[string]uint32) iter.Seq2[uint32, bpf.SteerBinding] {
	return func(yield func(uint32, bpf.SteerBinding) bool) {
		for i, b := range table.bindings {
			value := encodeTerms(b.terms)
			if b.route != nil {
				copy(value.Route[:], b.route.Name)
				value.Number = numbers[b.route.Name]
			}
			if b.sources != nil {
				value.Sources = h.list(i)
			}
			if !yield(h.firstBinding()+uint32(i), value) {
				return
			}
		}
		if n := uint32(len(table.bindings)); n < h.bindings { // the end, for those who read it back
			yield(h.firstBinding()+n, bpf.SteerBinding{})
		}
	}
}

// list numbers the source list of a binding: never 0, and no number is in both halves.
func (h half) list(binding int) uint32 { return h.firstBinding() + uint32(binding) }

func (h half) intervalEntries(table *Table) iter.Seq2[uint32, bpf.SteerInterval] {
	return func(yield func(uint32, bpf.SteerInterval) bool) {
		for i, v := range table.intervals {
			if !yield(h.firstInterval()+uint32(i), bpf.SteerInterval{Lo: v.lo, Binding: h.firstBinding() + v.binding}) {
				return
			}
		}
	}
}

func (h half) sourceEntries(table *Table) iter.Seq2[bpf.SteerSource, uint32] {
	return func(yield func(bpf.SteerSource, uint32) bool) {
		for i, b := range table.bindings {
			for p, allowed := range b.sources.Rules() {
				if !yield(sourceKey(h.list(i), p), flag(allowed)) {
					return
				}
			}
		}
	}
}

func (h half) v4Entries(table *Table) iter.Seq2[bpf.SteerPrefixV4, bpf.SteerPolicy] {
	return func(yield func(bpf.SteerPrefixV4, bpf.SteerPolicy) bool) {
		for p, policy := range table.all4() {
			addr := p.Addr().As4()
			key := bpf.SteerPrefixV4{
				Prefixlen:  exact + uint32(p.Bits()),
				Generation: h.generation,
				Addr:       binary.NativeEndian.Uint32(addr[:]),
			}
			if !yield(key, h.policy(policy)) {
				return
			}
		}
	}
}

func (h half) v6Entries(table *Table) iter.Seq2[bpf.SteerPrefixV6, bpf.SteerPolicy] {
	return func(yield func(bpf.SteerPrefixV6, bpf.SteerPolicy) bool) {
		for p, policy := range table.all6() {
			key := bpf.SteerPrefixV6{
				Prefixlen:  exact + uint32(p.Bits()),
				Generation: h.generation,
				Addr:       words(p.Addr()),
			}
			if !yield(key, h.policy(policy)) {
				return
			}
		}
	}
}

func (h half) policy(p policy) bpf.SteerPolicy {
	var value bpf.SteerPolicy
	value.Tcp.Offset, value.Tcp.Count = h.firstInterval()+p.tcp.offset, p.tcp.count
	value.Udp.Offset, value.Udp.Count = h.firstInterval()+p.udp.offset, p.udp.count
	return value
}
