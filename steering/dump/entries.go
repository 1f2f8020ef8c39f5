package dump

import (
	"bytes"
	"errors"
	"slices"

	"github.com/cilium/ebpf"
)

// Bounds of what is read of one map: entries that are shown, and entries that are looked at.
const (
	mostShown = 1000
	mostRead  = 1 << 18
)

// fill reads entries until the map ends or a bound is reached. spec may be nil.
func (m *Map) fill(from *ebpf.Map, spec *ebpf.MapSpec) {
	format := formatOf(from, spec)
	isArray := from.Type() == ebpf.Array || from.Type() == ebpf.PerCPUArray
	var key []byte
	for looked := 0; ; looked++ {
		var next []byte
		err := from.NextKey(keyAfter(key), &next)
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return
		}
		if err != nil {
			m.Error = err.Error()
			return
		}
		if len(m.Entries) == mostShown || looked == mostRead || bytes.Equal(key, next) {
			m.Truncated = true
			return
		}
		key = next
		value, zero, err := format.lookup(from, key)
		switch {
		case errors.Is(err, ebpf.ErrKeyNotExist) || err == nil && zero && isArray:
		case err != nil:
			m.Error = err.Error()
			return
		default:
			m.Entries = append(m.Entries, Entry{format.key.decode(key), value})
		}
	}
}

// keyAfter is what NextKey takes for the first key: nil, and not an empty slice.
func keyAfter(key []byte) any {
	if key == nil {
		return nil
	}
	return key
}

// lookup reads one value. Of a map per CPU it is the sum of the counters, or a list if its values are no counters.
func (f format) lookup(m *ebpf.Map, key []byte) (value any, zero bool, err error) {
	data, err := m.LookupBytes(key)
	if err == nil && data == nil {
		err = ebpf.ErrKeyNotExist
	}
	if err != nil {
		return nil, false, err
	}
	zero = len(bytes.Trim(data, "\x00")) == 0
	if m.Type() == ebpf.PerCPUArray {
		return f.ofCPUs(data, int(m.ValueSize())), zero, nil
	}
	return f.value.decode(data), zero, nil
}

// ofCPUs shows the values of all CPUs. The kernel begins each at a multiple of 8 bytes.
func (f format) ofCPUs(data []byte, size int) any {
	var list []any
	sum := uint64(0)
	for part := range slices.Chunk(data, (size+7)/8*8) {
		list = append(list, f.value.decode(part[:size]))
		sum += number(part[:size])
	}
	if size == 8 {
		return sum
	}
	return list
}
