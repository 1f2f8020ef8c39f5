package steering

import (
	"errors"
	"fmt"

	"anyport/bpf"

	"github.com/cilium/ebpf"
)

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
	m := h.maps
	return errors.Join(
		sweep[bpf.SteerPrefixV6, bpf.SteerPolicy](m.PrefixesV6, h.hasV6),
		sweep[bpf.SteerPrefixV4, bpf.SteerPolicy](m.PrefixesV4, h.hasV4),
		sweep[bpf.SteerSource, uint32](m.Sources, h.hasSource),
	)
}

func (h half) hasV4(k bpf.SteerPrefixV4) bool { return k.Generation == h.generation }
func (h half) hasV6(k bpf.SteerPrefixV6) bool { return k.Generation == h.generation }
func (h half) hasSource(k bpf.SteerSource) bool {
	return h.firstBinding() <= k.List && k.List < h.firstBinding()+h.bindings
}

// sweep deletes the keys that are stale.
func sweep[K, V any](m *ebpf.Map, stale func(K) bool) error {
	var keys []K
	err := each(m, func(k K, _ V) {
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
