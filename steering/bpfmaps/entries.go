package bpfmaps

import (
	"encoding/binary"
	"iter"

	"anyport/bpf"
	"anyport/steering/table"
)

// FirstInterval is the index of the first of the half.
func (h Half) FirstInterval() uint32 { return h.Generation * h.Intervals }

// FirstBinding is the index of the first of the half.
func (h Half) FirstBinding() uint32 { return h.Generation * h.Bindings }

// bindingEntries yields the bindings of table, and an empty one behind them: Numbers stops there.
func (h Half) bindingEntries(table *table.Table, numbers map[string]uint32) iter.Seq2[uint32, bpf.SteerBinding] {
	return func(yield func(uint32, bpf.SteerBinding) bool) {
		for i, b := range table.Bindings() {
			value := encodeTerms(b.Rules)
			if b.Route != nil {
				copy(value.Route[:], b.Route.Name)
				value.Number = numbers[b.Route.Name]
				value.ValidUntil = h.ValidUntil[b.Route.Name]
				value.Door = doorOf(b)
			}
			if b.Clients != nil {
				value.Sources = h.ClientList(i)
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

// ClientList numbers the source list of a binding: never 0, and no number is in both halves.
func (h Half) ClientList(binding int) uint32 { return h.FirstBinding() + uint32(binding) }

// intervalEntries yields the segments of all policies end to end, as table has them. Indices into
// the arrays are those of the whole map, so that the program adds nothing to them.
func (h Half) intervalEntries(table *table.Table) iter.Seq2[uint32, bpf.SteerInterval] {
	return func(yield func(uint32, bpf.SteerInterval) bool) {
		for i, v := range table.Intervals() {
			if !yield(h.FirstInterval()+uint32(i), bpf.SteerInterval{Lo: v.First, Binding: h.FirstBinding() + v.Binding}) {
				return
			}
		}
	}
}

// clientEntries yields allow and deny of all bindings, and the rules for everyone else.
func (h Half) clientEntries(table *table.Table) iter.Seq2[bpf.SteerSource, uint32] {
	return func(yield func(bpf.SteerSource, uint32) bool) {
		for i, b := range table.Bindings() {
			for p, allowed := range b.Clients.Rules() {
				if !yield(ClientKey(h.ClientList(i), p), Flag(allowed)) {
					return
				}
			}
		}
	}
}

// V4Entries yields the IPv4 prefixes of table.
func (h Half) V4Entries(table *table.Table) iter.Seq2[bpf.SteerPrefixV4, bpf.SteerPolicy] {
	return func(yield func(bpf.SteerPrefixV4, bpf.SteerPolicy) bool) {
		for p, policy := range table.AllV4() {
			addr := p.Addr().As4()
			key := bpf.SteerPrefixV4{
				Prefixlen:  generationBits + uint32(p.Bits()),
				Generation: h.Generation,
				Addr:       binary.NativeEndian.Uint32(addr[:]),
			}
			if !yield(key, h.policy(policy)) {
				return
			}
		}
	}
}

// V6Entries yields the IPv6 prefixes of table.
func (h Half) V6Entries(table *table.Table) iter.Seq2[bpf.SteerPrefixV6, bpf.SteerPolicy] {
	return func(yield func(bpf.SteerPrefixV6, bpf.SteerPolicy) bool) {
		for p, policy := range table.AllV6() {
			key := bpf.SteerPrefixV6{
				Prefixlen:  generationBits + uint32(p.Bits()),
				Generation: h.Generation,
				Addr:       AddrWords(p.Addr()),
			}
			if !yield(key, h.policy(policy)) {
				return
			}
		}
	}
}

// policy is p with indices into the whole map.
func (h Half) policy(p table.Policy) bpf.SteerPolicy {
	var value bpf.SteerPolicy
	value.Tcp.Offset, value.Tcp.Count = h.FirstInterval()+p.TCP.Offset, p.TCP.Count
	value.Udp.Offset, value.Udp.Count = h.FirstInterval()+p.UDP.Offset, p.UDP.Count
	value.Knocks = h.knockGroup(p.Knocks)
	return value
}
