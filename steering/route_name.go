package steering

import (
	"bytes"
	"fmt"

	"anyport/bpf"
)

// numbers returns those of the routes in h by their names.
func (h half) numbers() (map[string]uint32, error) {
	numbers := make(map[string]uint32)
	for i := uint32(1); i < h.bindings; i++ {
		var b bpf.SteerBinding
		if err := h.maps.Bindings.Lookup(h.firstBinding()+i, &b); err != nil {
			return nil, fmt.Errorf("read the bindings: %w", err)
		}
		name := routeName(b.Route)
		if name == "" {
			break
		}
		numbers[name] = b.Number
	}
	return numbers, nil
}

// routeName reads a name as the maps have it.
func routeName(text [64]uint8) string {
	name, _, _ := bytes.Cut(text[:], []byte{0})
	return string(name)
}
