package bpfmaps

import (
	"errors"

	"github.com/cilium/ebpf"
)

// CPUSums are the values of an array that each CPU has for itself, summed up, by index.
func CPUSums(m *ebpf.Map) ([]uint64, error) {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, err
	}
	sums := make([]uint64, m.MaxEntries())
	n := min(batch, len(sums))
	keys, values := make([]uint32, n), make([]uint64, n*cpus)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := m.BatchLookup(&cursor, keys, values, nil)
		for i, key := range keys[:n] {
			sums[key] = sum(values[i*cpus : (i+1)*cpus])
		}
		switch {
		case errors.Is(err, ebpf.ErrKeyNotExist): // that was all
			return sums, nil
		case errors.Is(err, ebpf.ErrNotSupported): // tries: since Linux 5.13
			return sums, sumSingly(m, sums)
		case err != nil:
			return nil, err
		}
	}
}

// sumSingly is CPUSums with a system call for each index.
func sumSingly(m *ebpf.Map, sums []uint64) error {
	var cpus []uint64
	for index := range sums {
		if err := m.Lookup(uint32(index), &cpus); err != nil {
			return err
		}
		sums[index] = sum(cpus)
	}
	return nil
}

func sum(values []uint64) (n uint64) {
	for _, v := range values {
		n += v
	}
	return n
}
