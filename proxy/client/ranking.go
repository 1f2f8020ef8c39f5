package client

// Ranking orders holders by how much each of them holds. Every operation takes constant time,
// whatever the number of holders: amounts change by one, so a holder moves to the next list. The zero
// value is ready. It is not safe for concurrent use; each event loop has its own.
type Ranking[T any] struct {
	levels []level[T] // levels[n] has the holders of exactly n, from 1 on
	most   int        // the highest level that has a holder
}

// Holder is one entry of a Ranking, such as a client. It belongs to at most one Ranking, and is in it
// while it holds something.
type Holder[T any] struct {
	Value T

	held           int
	earlier, later *Holder[T] // at the same level
}

// level is a list of holders, in the order in which they reached the amount.
type level[T any] struct{ first, last *Holder[T] }

// Held is how much h holds.
func (h *Holder[T]) Held() int { return h.held }

// Add counts one more for h.
func (r *Ranking[T]) Add(h *Holder[T]) { r.move(h, h.held+1) }

// Remove counts one less for h, which holds at least one.
func (r *Ranking[T]) Remove(h *Holder[T]) { r.move(h, h.held-1) }

// Largest returns the holder that holds most, or nil if there are none. Of several it is the one whose
// amount has not changed for longest.
func (r *Ranking[T]) Largest() *Holder[T] {
	if r.most == 0 {
		return nil
	}
	return r.levels[r.most].first
}

// move puts h, which holds one more or less than before, on its list.
func (r *Ranking[T]) move(h *Holder[T], to int) {
	if h.held > 0 {
		r.levels[h.held].remove(h)
	}
	h.held = to
	if to > 0 {
		for len(r.levels) <= to {
			r.levels = append(r.levels, level[T]{})
		}
		r.levels[to].add(h)
	}
	switch { // an amount changes by one, so no level in between needs a look
	case to > r.most:
		r.most = to
	case r.most > 0 && r.levels[r.most].first == nil:
		r.most--
	}
}

func (l *level[T]) add(h *Holder[T]) {
	h.earlier, h.later = l.last, nil
	if l.last == nil {
		l.first = h
	} else {
		l.last.later = h
	}
	l.last = h
}

func (l *level[T]) remove(h *Holder[T]) {
	if h.earlier == nil {
		l.first = h.later
	} else {
		h.earlier.later = h.later
	}
	if h.later == nil {
		l.last = h.earlier
	} else {
		h.later.earlier = h.earlier
	}
	h.earlier, h.later = nil, nil
}
