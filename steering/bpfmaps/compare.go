package bpfmaps

import (
	"errors"
	"fmt"
	"iter"
	"maps"

	"github.com/cilium/ebpf"

	"anyport/bpf"
	"anyport/steering/table"
)

// Compare adds what differs between h and t to d.
func (h Half) Compare(d *Differences, t *table.Table, numbers map[string]uint32) error {
	m, first := h.Maps, h.FirstBinding()
	return errors.Join(
		compareArray(d, m.Bindings, h.bindingEntries(t, numbers), func(i uint32) string { return t.BindingName(i - first) }),
		compareArray(d, m.Intervals, h.intervalEntries(t), func(i uint32) string { return fmt.Sprintf("port interval %d", i-h.FirstInterval()) }),
		compareTrie(d, m.Sources, h.clientEntries(t), h.hasClient, func(k bpf.SteerSource) string {
			return fmt.Sprintf("client prefix %s of %s", prefixOfKey(k.Addr[:], k.Prefixlen), t.BindingName(k.List-first))
		}),
		compareTrie(d, m.KnockSteps, h.knockEntries(t, numbers), h.hasKnock, func(k bpf.SteerKnockPort) string {
			return fmt.Sprintf("knock at port %d", k.Port)
		}),
		compareTrie(d, m.PrefixesV4, h.V4Entries(t), h.hasV4, func(k bpf.SteerPrefixV4) string {
			return "prefix " + prefixOfKey([]uint32{k.Addr}, k.Prefixlen).String()
		}),
		compareTrie(d, m.PrefixesV6, h.V6Entries(t), h.hasV6, func(k bpf.SteerPrefixV6) string {
			return "prefix " + prefixOfKey(k.Addr[:], k.Prefixlen).String()
		}),
	)
}

// compareArray wants the entries in an array.
func compareArray[V comparable](d *Differences, m *ebpf.Map, entries iter.Seq2[uint32, V], name func(uint32) string) error {
	for i, want := range entries {
		var got V
		if err := m.Lookup(i, &got); err != nil {
			return fmt.Errorf("read %v: %w", m, err)
		}
		if got != want {
			d.Add("%s: something else is in the kernel", name(i))
		}
	}
	return nil
}

// compareTrie wants the entries, and of what is ours no others.
func compareTrie[K, V comparable](d *Differences, m *ebpf.Map, entries iter.Seq2[K, V], ours func(K) bool, name func(K) string) error {
	missing := maps.Collect(entries)
	err := Each(m, func(key K, got V) {
		want, wanted := missing[key]
		switch {
		case !ours(key):
			return
		case !wanted:
			d.Add("%s: it is in the kernel, and not in the config in service", name(key))
		case got != want:
			d.Add("%s: something else is in the kernel", name(key))
		}
		delete(missing, key)
	})
	if err != nil {
		return fmt.Errorf("read %v: %w", m, err)
	}
	for key := range missing {
		d.Add("%s: it is not in the kernel", name(key))
	}
	return nil
}
