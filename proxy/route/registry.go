package route

import "sync"

// registry holds what others have added, until they cancel it.
type registry[T any] struct {
	mu  sync.RWMutex // held for reading while a member is at work, and for writing to add or take one away
	all map[*T]bool
}

// add returns what takes member out again. Once cancel has returned member is not at work
// any more.
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

func (r *registry[T]) keys() (keys []*T) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for key := range r.all {
		keys = append(keys, key)
	}
	return keys
}

// use calls what with a member, unless it has been cancelled.
func (r *registry[T]) use(key *T, what func(T)) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.all[key] {
		what(*key)
	}
}
