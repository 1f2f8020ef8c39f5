package bpfmaps

import (
	"bytes"
	"fmt"

	"anyport/bpf"
	"anyport/steering/table"
)

// A route has a number, by which the kernel keeps what outlives a generation: its counters,
// its token bucket, and whether it drains. Number 0 is for ports that no route takes.

// Numbers reads the numbers of the routes in h, by name, as another process has given them.
func (h Half) Numbers() (map[string]uint32, error) {
	numbers := make(map[string]uint32)
	for i := uint32(1); i < h.Bindings; i++ {
		var b bpf.SteerBinding
		if err := h.Maps.Bindings.Lookup(h.FirstBinding()+i, &b); err != nil {
			return nil, fmt.Errorf("read the bindings: %w", err)
		}
		name := RouteName(b.Route)
		if name == "" {
			break
		}
		numbers[name] = b.Number
	}
	return numbers, nil
}

// RouteName reads a name as the maps have it.
func RouteName(text [64]uint8) string {
	name, _, _ := bytes.Cut(text[:], []byte{0})
	return string(name)
}

// NumberRoutes gives every route of table a number: the one it has in old, or the
// lowest that is free.
func NumberRoutes(old map[string]uint32, table *table.Table) map[string]uint32 {
	taken, numbers := make(map[uint32]bool), make(map[string]uint32)
	for _, n := range old {
		taken[n] = true
	}
	next := uint32(1)
	for _, r := range table.Routes() {
		name := r.Name
		if n, ok := old[name]; ok {
			numbers[name] = n
			continue
		}
		for taken[next] {
			next++
		}
		numbers[name], taken[next] = next, true
	}
	return numbers
}
