package bpfmaps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"anyport/bpf"
	"anyport/steering/table"
)

// Half is the room for one generation in the maps of steer.bpf.c. The arrays have a
// half for each of the two; in the tries they are told apart by their keys.
type Half struct {
	Maps       *bpf.SteerMaps
	Generation uint32 // 0 or 1
	Intervals  uint32 // room for these, and the index of the first
	Bindings   uint32
	Trie       uint32 // room for these in each of the tries
	Admissions uint32 // room for these, with the other half together
}

// Fill writes table into h. The numbers are those of the routes, by name.
func (h Half) Fill(table *table.Table, numbers map[string]uint32) error {
	if err := h.fits(table); err != nil {
		return err
	}
	m := h.Maps
	return errors.Join(
		Put(m.Bindings, h.bindingEntries(table, numbers)),
		Put(m.Intervals, h.intervalEntries(table)),
		Put(m.Sources, h.sourceEntries(table)),
		Put(m.PrefixesV4, h.V4Entries(table)),
		Put(m.PrefixesV6, h.V6Entries(table)),
	)
}

// Erase takes t out of h again; what fill had not written yet is no error. The
// arrays keep what they had: nothing leads there.
func (h Half) Erase(t *table.Table) error {
	m := h.Maps
	if t == table.Unknown {
		return h.sweep()
	}
	return errors.Join(
		Remove(m.PrefixesV6, h.V6Entries(t)),
		Remove(m.PrefixesV4, h.V4Entries(t)),
		Remove(m.Sources, h.sourceEntries(t)),
	)
}

// fits says what to do when table is larger than the maps, whose sizes cannot change.
func (h Half) fits(table *table.Table) error {
	if n := len(table.Intervals()); n > int(h.Intervals) {
		return fmt.Errorf("the routes make %d port intervals and the running program has room for %d: restart it, after `anyport unload` where steering.pin is set", n, h.Intervals)
	}
	if n := len(table.Bindings()); n > int(h.Bindings) {
		return fmt.Errorf("there are %d routes and the running program has room for %d: restart it, after `anyport unload` where steering.pin is set", n-1, h.Bindings-1)
	}
	if n, room := table.Admissions(), h.Admissions; n > int(room) {
		return fmt.Errorf("the routes with new_conns_per_second have %d conns and flows to remember and the running program has room for %d: set max_flows to less, or restart it, after `anyport unload` where steering.pin is set", n, room)
	}
	return h.triesFit(table)
}

// triesFit looks at the maps that are as large as they can be, with two tables in each.
func (h Half) triesFit(table *table.Table) error {
	v4, v6 := table.Sizes()
	clients := 0
	for range h.sourceEntries(table) {
		clients++
	}
	for what, n := range map[string]int{"IPv4 prefixes": v4, "IPv6 prefixes": v6, "prefixes in allow and deny": clients} {
		if n > int(h.Trie) {
			return fmt.Errorf("there are %d %s and the kernel's tables have room for %d: join neighbours, or split the file between hosts", n, what, h.Trie)
		}
	}
	return nil
}

func (h Half) FirstInterval() uint32 { return h.Generation * h.Intervals }
func (h Half) FirstBinding() uint32  { return h.Generation * h.Bindings }

func (h Half) bindingEntries(table *table.Table, numbers map[string]uint32) iter.Seq2[uint32, bpf.SteerBinding] {
	return func(yield func(uint32, bpf.SteerBinding) bool) {
		for i, b := range table.Bindings() {
			value := encodeTerms(b.Rules)
			if b.Route != nil {
				copy(value.Route[:], b.Route.Name)
				value.Number = numbers[b.Route.Name]
			}
			if b.Clients != nil {
				value.Sources = h.List(i)
			}
			if !yield(h.FirstBinding()+uint32(i), value) {
				return
			}
		}
		if n := uint32(len(table.Bindings())); n < h.Bindings { // the end, for those who read it back
			yield(h.FirstBinding()+n, bpf.SteerBinding{})
		}
	}
}

// List numbers the source list of a binding: never 0, and no number is in both halves.
func (h Half) List(binding int) uint32 { return h.FirstBinding() + uint32(binding) }

func (h Half) intervalEntries(table *table.Table) iter.Seq2[uint32, bpf.SteerInterval] {
	return func(yield func(uint32, bpf.SteerInterval) bool) {
		for i, v := range table.Intervals() {
			if !yield(h.FirstInterval()+uint32(i), bpf.SteerInterval{Lo: v.First, Binding: h.FirstBinding() + v.Binding}) {
				return
			}
		}
	}
}

func (h Half) sourceEntries(table *table.Table) iter.Seq2[bpf.SteerSource, uint32] {
	return func(yield func(bpf.SteerSource, uint32) bool) {
		for i, b := range table.Bindings() {
			for p, allowed := range b.Clients.Rules() {
				if !yield(SourceKey(h.List(i), p), Flag(allowed)) {
					return
				}
			}
		}
	}
}

func (h Half) V4Entries(table *table.Table) iter.Seq2[bpf.SteerPrefixV4, bpf.SteerPolicy] {
	return func(yield func(bpf.SteerPrefixV4, bpf.SteerPolicy) bool) {
		for p, policy := range table.AllV4() {
			addr := p.Addr().As4()
			key := bpf.SteerPrefixV4{
				Prefixlen:  exact + uint32(p.Bits()),
				Generation: h.Generation,
				Addr:       binary.NativeEndian.Uint32(addr[:]),
			}
			if !yield(key, h.policy(policy)) {
				return
			}
		}
	}
}

func (h Half) V6Entries(table *table.Table) iter.Seq2[bpf.SteerPrefixV6, bpf.SteerPolicy] {
	return func(yield func(bpf.SteerPrefixV6, bpf.SteerPolicy) bool) {
		for p, policy := range table.AllV6() {
			key := bpf.SteerPrefixV6{
				Prefixlen:  exact + uint32(p.Bits()),
				Generation: h.Generation,
				Addr:       AddrWords(p.Addr()),
			}
			if !yield(key, h.policy(policy)) {
				return
			}
		}
	}
}

func (h Half) policy(p table.Policy) bpf.SteerPolicy {
	var value bpf.SteerPolicy
	value.Tcp.Offset, value.Tcp.Count = h.FirstInterval()+p.TCP.Offset, p.TCP.Count
	value.Udp.Offset, value.Udp.Count = h.FirstInterval()+p.UDP.Offset, p.UDP.Count
	return value
}
