package bpfmaps

import (
	"errors"
	"fmt"

	"anyport/bpf"
	"anyport/steering/table"
)

// Half is the room for one generation in the maps of steer.bpf.c. The arrays have a half for each of the two.
// A trie cannot be divided, so the keys of the tries begin with the generation. A Half holds no state of its
// own. The program may read the maps at any time, so only the half that is not in service may be written.
type Half struct {
	Maps       *bpf.SteerMaps
	Generation uint32 // 0 or 1
	Intervals  uint32 // room for these, and the index of the first
	Bindings   uint32
	Trie       uint32 // room for these in each of the tries
	Admissions uint32 // room for these, with the other half together

	ValidUntil map[string]uint64 // of the routes with active, by name: see hours.go
}

// Fill writes table into h. The numbers are those of the routes, by name. The prefixes come last: until they
// are there, nothing leads to what was written before.
func (h Half) Fill(table *table.Table, numbers map[string]uint32) error {
	if err := h.fits(table); err != nil {
		return err
	}
	m := h.Maps
	return errors.Join(
		Put(m.Bindings, h.bindingEntries(table, numbers)),
		Put(m.Intervals, h.intervalEntries(table)),
		Put(m.Sources, h.clientEntries(table)),
		Put(m.KnockSteps, h.knockEntries(table, numbers)),
		Put(m.PrefixesV4, h.V4Entries(table)),
		Put(m.PrefixesV6, h.V6Entries(table)),
	)
}

// Erase takes t out of h again; it is not an error if Fill has not written all of it. The
// arrays keep their entries: without the tries nothing leads to them. The tries go in the
// reverse order of Fill.
func (h Half) Erase(t *table.Table) error {
	m := h.Maps
	if t == table.Unknown {
		return h.sweep()
	}
	return errors.Join(
		Remove(m.PrefixesV6, h.V6Entries(t)),
		Remove(m.PrefixesV4, h.V4Entries(t)),
		Remove(m.KnockSteps, h.knockEntries(t, nil)),
		Remove(m.Sources, h.clientEntries(t)),
	)
}

// fits says what to do when table is larger than the maps: a map in the kernel cannot grow.
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
	for range h.clientEntries(table) {
		clients++
	}
	for what, n := range map[string]int{"IPv4 prefixes": v4, "IPv6 prefixes": v6, "prefixes in allow and deny": clients} {
		if n > int(h.Trie) {
			return fmt.Errorf("there are %d %s and the kernel's tables have room for %d: join neighbours, or split the file between hosts", n, what, h.Trie)
		}
	}
	return nil
}
