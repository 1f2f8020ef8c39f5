package route

import "sync"

// watchers are told of swaps.
type watchers struct {
	mu  sync.Mutex
	all map[*func()]bool
}

// Watch calls swapped after each swap, on the goroutine that swaps, until it is
// cancelled. It must not block. Once cancel has returned it is not called any more.
func (l *Live) Watch(swapped func()) (cancel func()) {
	w, key := &l.watchers, &swapped
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[*func()]bool{}
	}
	w.all[key] = true
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all, key)
	}
}

func (w *watchers) tell() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for swapped := range w.all {
		(*swapped)()
	}
}
