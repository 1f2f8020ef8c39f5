package bpfmaps

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"anyport/bpf"
)

// sweep takes everything out of h, whatever it is: after a crash nobody knows which table was written.
func (h Half) sweep() error {
	m := h.Maps
	return errors.Join(
		removeKeys[bpf.SteerPrefixV6, bpf.SteerPolicy](m.PrefixesV6, h.hasV6),
		removeKeys[bpf.SteerPrefixV4, bpf.SteerPolicy](m.PrefixesV4, h.hasV4),
		removeKeys[bpf.SteerKnockPort, bpf.SteerKnockStep](m.KnockSteps, h.hasKnock),
		removeKeys[bpf.SteerSource, uint32](m.Sources, h.hasClient),
	)
}

// hasV4 reports whether a key of the trie of IPv4 prefixes belongs to h.
func (h Half) hasV4(k bpf.SteerPrefixV4) bool { return k.Generation == h.Generation }

// hasV6 is for the trie of IPv6 prefixes.
func (h Half) hasV6(k bpf.SteerPrefixV6) bool { return k.Generation == h.Generation }

// hasClient is for the trie of source lists, whose keys name a binding: each half has its own range of these.
func (h Half) hasClient(k bpf.SteerSource) bool {
	return h.FirstBinding() <= k.List && k.List < h.FirstBinding()+h.Bindings
}

// RemoveIf deletes the entries that are stale. It lists them first: a deletion while a trie is walked may make the
// walk begin again.
func RemoveIf[K, V any](m *ebpf.Map, stale func(K, V) bool) error {
	var keys []K
	err := Each(m, func(k K, v V) {
		if stale(k, v) {
			keys = append(keys, k)
		}
	})
	if err != nil {
		return fmt.Errorf("list the keys of %v: %w", m, err)
	}
	return Remove(m, func(yield func(K, V) bool) {
		var none V
		for _, k := range keys {
			if !yield(k, none) {
				return
			}
		}
	})
}

// removeKeys is RemoveIf for keys that say themselves whether they are stale.
func removeKeys[K, V any](m *ebpf.Map, stale func(K) bool) error {
	return RemoveIf(m, func(k K, _ V) bool { return stale(k) })
}
