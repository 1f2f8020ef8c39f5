package bpfmaps

import (
	"iter"

	"anyport/bpf"
	"anyport/steering/table"
)

// knockGroup is a group's number in the map, which has room for both halves. It is never 0.
func (h Half) knockGroup(group uint32) uint32 {
	if group == 0 {
		return 0
	}
	return group<<1 | h.Generation
}

// knockEntries yields the steps of all sequences.
func (h Half) knockEntries(t *table.Table, numbers map[string]uint32) iter.Seq2[bpf.SteerKnockPort, bpf.SteerKnockStep] {
	return func(yield func(bpf.SteerKnockPort, bpf.SteerKnockStep) bool) {
		for s := range t.KnockSteps() {
			key := bpf.SteerKnockPort{Group: h.knockGroup(s.Group), Port: uint32(s.Port)}
			step := bpf.SteerKnockStep{
				Route: table.DoorID(s.Route.Name), Window: uint64(s.Route.Knock.Window), Number: numbers[s.Route.Name],
				Position: uint16(s.Position), Last: uint16(Flag(s.Last)),
			}
			if !yield(key, step) {
				return
			}
		}
	}
}

// hasKnock reports whether a step belongs to h.
func (h Half) hasKnock(k bpf.SteerKnockPort) bool { return k.Group&1 == h.Generation }

// doorOf is the door of the binding's route. Whether clients need it is a bit of extras; who traces a route
// knows it by the same number.
func doorOf(b table.Binding) uint64 { return table.DoorID(b.Route.Name) }
