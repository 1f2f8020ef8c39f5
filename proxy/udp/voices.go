package udp

import (
	"net/netip"
	"sync"
)

// voices are the dsts that this process answers from just now, in all of its loops. A
// datagram from one of them is an answer to a client that was given as another dst of
// this proxy: to forward it would send the two answering each other for ever.
type voices struct {
	mu    sync.RWMutex
	loops map[netip.AddrPort]int // how many answer from it
}

func (v *voices) add(dst netip.AddrPort) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.loops == nil {
		v.loops = map[netip.AddrPort]int{}
	}
	v.loops[dst]++
}

func (v *voices) remove(dst netip.AddrPort) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.loops[dst]--; v.loops[dst] == 0 {
		delete(v.loops, dst)
	}
}

func (v *voices) has(addr netip.AddrPort) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.loops[addr] > 0
}
