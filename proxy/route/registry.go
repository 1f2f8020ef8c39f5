package route

import "sync"

// registry holds members that event loops have added, until they cancel them. It is safe for
// concurrent use.
type registry[T any] struct {
	mu  sync.RWMutex // held for reading while a member runs, for writing to add or remove one
	all map[*T]bool
}

// add adds member until cancel. Once cancel has returned, member is not running and will not be
// used.
func (r *registry[T]) add(member T) (cancel func()) {
	key := &member
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[*T]bool{}
	}
	r.all[key] = true
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.all, key)
	}
}

// keys lists the members at this moment. One of them may be cancelled before use.
func (r *registry[T]) keys() (keys []*T) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for key := range r.all {
		keys = append(keys, key)
	}
	return keys
}

// use calls what with a member, unless it has been cancelled. Cancelling waits for what to return.
func (r *registry[T]) use(key *T, what func(T)) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.all[key] {
		what(*key)
	}
}
