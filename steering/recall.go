package steering

import (
	"errors"
	"fmt"

	"anyport/bpf"

	"github.com/cilium/ebpf"
)

// unknown stands for the tables of another process.
var unknown = newTable()

// recall learns from the maps what another process has put in service.
func (s *Steering) recall() (err error) {
	if err := s.objects.Generation.Lookup(uint32(0), &s.generation); err != nil {
		return fmt.Errorf("read the generation: %w", err)
	}
	s.table, s.leftover = unknown, unknown
	s.numbers, err = s.half(s.generation).numbers()
	return err
}

// sweep takes everything out of h, whatever it is.
func (h half) sweep() error {
	m, first := h.maps, h.firstBinding()
	return errors.Join(
		sweep[bpf.SteerPrefixV6, bpf.SteerPolicy](m.PrefixesV6, func(k bpf.SteerPrefixV6) bool { return k.Generation == h.generation }),
		sweep[bpf.SteerPrefixV4, bpf.SteerPolicy](m.PrefixesV4, func(k bpf.SteerPrefixV4) bool { return k.Generation == h.generation }),
		sweep[bpf.SteerSource, uint32](m.Sources, func(k bpf.SteerSource) bool { return first <= k.List && k.List < first+h.bindings }),
	)
}

// sweep deletes the keys that are stale.
func sweep[K, V any](m *ebpf.Map, stale func(K) bool) error {
	var keys []K
	err := eachKey[K, V](m, func(k K) {
		if stale(k) {
			keys = append(keys, k)
		}
	})
	if err != nil {
		return fmt.Errorf("list the keys of %v: %w", m, err)
	}
	return remove(m, func(yield func(K, V) bool) {
		var none V
		for _, k := range keys {
			if !yield(k, none) {
				return
			}
		}
	})
}
