package fastpath

import (
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"

	"anyport/bpf/fastflow"
	"anyport/steering/clock"
)

// Path is the program in the kernel, the devices that it is attached to, and the flows that it
// forwards. Any goroutine may use it; what is done to one flow is done by one at a time.
type Path struct {
	objects    *Objects
	log        *slog.Logger
	generation atomic.Uint32
	fresh      bool                           // no process has had the objects before
	attached   atomic.Pointer[map[int]device] // by interface index; never changed: replaced
	ways       *ways
	remembered *ebpf.Map // see Remember; nil: nobody counts new flows

	raising sync.Mutex // guards the generation in the kernel

	mu     sync.Mutex
	flows  map[uint64]admitted // those of this process, by a hash of what their clients' datagrams have
	seed   maphash.Seed        // of the hash: nobody can find two flows with the same one
	places places
	table  table
	shared map[key]int // how many flows have an entry for their answers in common

	devices  devices // its own mutex
	relinked atomic.Bool
	events   events
	failure  atomic.Pointer[string] // of the last update; nil or "": none
}

// admitted is what is kept of a flow. Its addresses are in the kernel's entries.
type admitted struct {
	place uint32 // in places
	back  uint32 // a hash of what the origin's datagrams have
}

// Generation is the one that flows are admitted in now. It costs a load.
func (p *Path) Generation() uint32 {
	if p == nil {
		return 0
	}
	return p.generation.Load()
}

// Raise ends the forwarding of all flows that were admitted until now. Their entries stay.
func (p *Path) Raise() error {
	if p == nil {
		return nil
	}
	p.raising.Lock()
	defer p.raising.Unlock()
	if p.objects == nil { // closed
		return nil
	}
	var now uint32
	if err := p.objects.Generation.Lookup(numberNow, &now); err != nil {
		return fmt.Errorf("read the generation of the fast path: %w", err)
	}
	if now++; now == 0 { // which user space takes for "never"
		now++
	}
	if err := p.objects.Generation.Put(numberNow, now); err != nil {
		return fmt.Errorf("raise the generation of the fast path: %w", err)
	}
	p.generation.Store(now)
	return nil
}

// hash tells keys apart.
func (p *Path) hash(k key) uint64 {
	return maphash.Bytes(p.seed, unsafe.Slice((*byte)(unsafe.Pointer(&k)), unsafe.Sizeof(k)))
}

// Usage says what the program has forwarded of f; false: f is not admitted. It costs no system call.
func (p *Path) Usage(f fastflow.Flow) (u fastflow.Usage, ok bool) {
	if p == nil {
		return u, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, at, ok := p.find(f)
	if !ok {
		return u, false
	}
	return at.count(clock.Monotonic()), true
}

// find finds f, and not another flow of the same client and dst; false: f is not admitted. The caller holds mu.
func (p *Path) find(f fastflow.Flow) (k key, at place, ok bool) {
	if p.objects == nil { // closed
		return k, at, false
	}
	k = keyOf(f.Client, f.Dst)
	a, ok := p.flows[p.hash(k)]
	if !ok || a.back != uint32(p.hash(keyOf(f.Origin, f.Source))) {
		return k, at, false
	}
	at, err := p.places.at(a.place)
	return k, at, err == nil
}

// Admitted is how many flows there are. Those are included whose generation is over.
func (p *Path) Admitted() int {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.flows)
}
