package admin

import "slices"

// First chooses the first Most of many in an order. It holds twice as many at most, so that a million
// of them take no memory.
type First[T any] struct {
	Most  int // at least 1
	Order func(a, b T) int

	kept  []T
	total int
}

// Add considers one more.
func (f *First[T]) Add(v T) {
	f.total++
	if f.kept = append(f.kept, v); len(f.kept) == 2*f.Most { // sorting is rare
		f.cut()
	}
}

func (f *First[T]) cut() {
	slices.SortStableFunc(f.kept, f.Order)
	f.kept = f.kept[:min(f.Most, len(f.kept))]
}

// List returns those chosen, in order, and how many there were in all.
func (f *First[T]) List() (first []T, total int) {
	f.cut()
	return f.kept, f.total
}
