package flow

import (
	"net/netip"
	"sync"
)

// ReplyAddrs are the dsts that this process answers from at the moment, in all of its loops. A
// datagram from one of them is a reply to a client that was given as another dst of this proxy: if
// it were forwarded, the two would answer each other without end. It is safe for concurrent use.
type ReplyAddrs struct {
	mu    sync.RWMutex
	loops map[netip.AddrPort]int // how many loops answer from it
}

// Add notes that one more loop answers from dst.
func (r *ReplyAddrs) Add(dst netip.AddrPort) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.loops == nil {
		r.loops = map[netip.AddrPort]int{}
	}
	r.loops[dst]++
}

// Remove takes back one Add.
func (r *ReplyAddrs) Remove(dst netip.AddrPort) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.loops[dst]--; r.loops[dst] == 0 {
		delete(r.loops, dst)
	}
}

// Has reports whether any loop answers from addr.
func (r *ReplyAddrs) Has(addr netip.AddrPort) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.loops[addr] > 0
}

// Len is the number of dsts.
func (r *ReplyAddrs) Len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.loops)
}
