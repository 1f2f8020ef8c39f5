package bpfmaps

import (
	"errors"
	"iter"

	"github.com/cilium/ebpf"
)

// batch is how many entries go to the kernel in one system call.
const batch = 4096

// Put writes all entries.
func Put[K, V any](m *ebpf.Map, entries iter.Seq2[K, V]) error {
	return inBatches(entries, func(keys []K, values []V) error {
		_, err := m.BatchUpdate(keys, values, nil)
		if !errors.Is(err, ebpf.ErrNotSupported) { // tries: since Linux 5.13
			return err
		}
		for i := range keys {
			if err := m.Put(keys[i], values[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// Remove deletes all entries; it ignores those that are not there.
func Remove[K, V any](m *ebpf.Map, entries iter.Seq2[K, V]) error {
	return inBatches(entries, func(keys []K, _ []V) error {
		if _, err := m.BatchDelete(keys, nil); err == nil {
			return nil
		}
		for i := range keys {
			if err := m.Delete(keys[i]); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
				return err
			}
		}
		return nil
	})
}

// Each calls do with every entry.
func Each[K, V any](m *ebpf.Map, do func(K, V)) error {
	keys, values := make([]K, batch), make([]V, batch)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := m.BatchLookup(&cursor, keys, values, nil)
		for i := range n {
			do(keys[i], values[i])
		}
		switch {
		case errors.Is(err, ebpf.ErrKeyNotExist): // that was all
			return nil
		case errors.Is(err, ebpf.ErrNotSupported): // tries: since Linux 5.13
			return EachSingly(m, do)
		case err != nil:
			return err
		}
	}
}

// EachSingly is Each with a system call for each entry, for Linux before 5.13. A key that is
// deleted meanwhile makes the kernel start again, so entries may come twice.
func EachSingly[K, V any](m *ebpf.Map, do func(K, V)) error {
	var key K
	var value V
	all := m.Iterate()
	for all.Next(&key, &value) {
		do(key, value)
	}
	return all.Err()
}

// inBatches calls do with up to batch entries at a time.
func inBatches[K, V any](entries iter.Seq2[K, V], do func([]K, []V) error) error {
	keys, values := make([]K, 0, batch), make([]V, 0, batch)
	for k, v := range entries {
		keys, values = append(keys, k), append(values, v)
		if len(keys) < batch {
			continue
		}
		if err := do(keys, values); err != nil {
			return err
		}
		keys, values = keys[:0], values[:0]
	}
	if len(keys) == 0 {
		return nil
	}
	return do(keys, values)
}
