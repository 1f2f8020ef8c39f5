package scans

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// Ranking keeps the keys that come most often, by the space-saving algorithm (Metwally et al., 2005): where there
// is no more room, a new key takes the place of the one with the least weight, and begins with that weight. So a key
// that comes more often than one in `most` times is always there, and what comes once displaces only what came
// rarely. Weights are halved by Age, so that what was busy long ago yields its place.
//
// Each key has a V, which begins as the zero value with the key. It is not safe for concurrent use.
type Ranking[K comparable, V any] struct {
	most    int
	entries map[K]*Entry[K, V]
	order   byWeight[K, V]

	floor     uint64 // no key that is missing weighs more than this
	displaced uint64
}

// Entry is a key of a Ranking.
type Entry[K comparable, V any] struct {
	Key         K
	Packets     uint64 // from Since on
	Since, Last time.Time
	Value       V

	weight uint64 // at least the halved count of all packets, and at most that and assumed
	assume uint64 // what it weighed when it came: the floor of that time
	at     int    // in the heap
}

// NewRanking has room for that many keys.
func NewRanking[K comparable, V any](most int) *Ranking[K, V] {
	return &Ranking[K, V]{most: most, entries: make(map[K]*Entry[K, V])}
}

// Add counts a packet.
func (r *Ranking[K, V]) Add(key K, now time.Time) *Entry[K, V] {
	e := r.entries[key]
	if e == nil {
		e = r.enter(key, now)
	}
	e.Packets++
	e.weight++
	e.Last = now
	heap.Fix(&r.order, e.at)
	return e
}

// enter makes an entry, in the place of another one if there is no room.
func (r *Ranking[K, V]) enter(key K, now time.Time) *Entry[K, V] {
	if len(r.order) == r.most {
		r.forget(r.order[0])
		r.displaced++
	}
	e := &Entry[K, V]{Key: key, Since: now, weight: r.floor, assume: r.floor}
	r.entries[key] = e
	heap.Push(&r.order, e)
	return e
}

func (r *Ranking[K, V]) forget(e *Entry[K, V]) {
	heap.Remove(&r.order, e.at)
	delete(r.entries, e.Key)
	r.floor = max(r.floor, e.weight)
}

// Age halves the weights, and forgets the keys that have not come since quiet.
func (r *Ranking[K, V]) Age(quiet time.Time) {
	for _, e := range slices.Clone(r.order) {
		if e.Last.Before(quiet) {
			r.forget(e)
		}
	}
	for _, e := range r.order { // the order stays
		e.weight /= 2
		e.assume /= 2
	}
	r.floor /= 2
}

// First returns the n keys with the most packets since they came.
func (r *Ranking[K, V]) First(n int) []*Entry[K, V] {
	all := slices.SortedFunc(slices.Values(r.order), func(a, b *Entry[K, V]) int {
		return cmp.Or(cmp.Compare(b.Packets, a.Packets), b.Last.Compare(a.Last))
	})
	return all[:min(n, len(all))]
}

// byWeight is a heap: the entry with the least weight first; of several the one that came longest ago.
type byWeight[K comparable, V any] []*Entry[K, V]

func (o byWeight[K, V]) Len() int { return len(o) }
func (o byWeight[K, V]) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(o[i].weight, o[j].weight), o[i].Last.Compare(o[j].Last)) < 0
}
func (o byWeight[K, V]) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].at, o[j].at = i, j
}
func (o *byWeight[K, V]) Push(x any) {
	e := x.(*Entry[K, V])
	e.at = len(*o)
	*o = append(*o, e)
}
func (o *byWeight[K, V]) Pop() any {
	old := *o
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*o = old[:len(old)-1]
	return e
}
