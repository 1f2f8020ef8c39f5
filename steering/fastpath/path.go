package fastpath

import (
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"anyport/bpf/fastflow"
	"anyport/steering/clock"
)

// Path is the program in the kernel, the devices that it is attached to, and the flows that it
// forwards. Any goroutine may use it; what is done to one flow is done by one at a time.
type Path struct {
	objects    *Objects
	log        *slog.Logger
	generation atomic.Uint32
	attached   atomic.Pointer[map[int]device] // by interface index; never changed: replaced
	ways       *ways

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

// Admit has the kernel forward the datagrams of f from now on, and count from zero. Its error is a
// [fastflow.Refusal].
func (p *Path) Admit(f fastflow.Flow) error {
	if p == nil {
		return fastflow.Off
	}
	generation := p.generation.Load() // first: if it is raised meanwhile, the entries are dead
	e, err := p.describe(f, generation)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.objects == nil { // closed
		return fastflow.Off
	}
	p.drop(e.forth)
	err = p.put(&e, f.SharesSource)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.E2BIG), err == fastflow.Full:
		return fastflow.Full
	}
	p.log.Debug("cannot admit a flow to the fast path", "client", f.Client, "dst", f.Dst, "error", err)
	return fastflow.Broken
}

// describe finds the ways of f.
func (p *Path) describe(f fastflow.Flow, generation uint32) (e entries, err error) {
	if f.Client.Addr().Is4() != f.Origin.Addr().Is4() {
		return e, fastflow.Families
	}
	attached := *p.attached.Load()
	client, err := p.ways.of(f.Dst.Addr(), f.Client.Addr(), generation, attached)
	if err != nil {
		return e, err
	}
	origin, err := p.ways.of(f.Source.Addr(), f.Origin.Addr(), generation, attached)
	if err != nil {
		return e, err
	}
	return entriesOf(f, client, origin, generation, 0, untilOf(f.Until)), nil
}

// put makes both entries or none, the one for the client's datagrams last. The caller holds mu.
func (p *Path) put(e *entries, shares bool) error {
	state := single
	if shares {
		state = sharing
	}
	id, err := p.places.take(state)
	if err != nil {
		return err
	}
	e.toOrigin.Id = id
	if shares {
		p.shared[e.back]++
	} else {
		e.toClient.Id = id
	}
	p.flows[p.hash(e.forth)] = admitted{uint32(id % maxFlows), uint32(p.hash(e.back))}
	if err = p.table.put(&e.back, &e.toClient); err == nil {
		err = p.table.put(&e.forth, &e.toOrigin)
	}
	if err != nil {
		p.removeBack(e.back, shares)
		delete(p.flows, p.hash(e.forth))
		p.places.give(id)
	}
	return err
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
	_, at := p.find(f)
	if at == nil {
		return u, false
	}
	return usageOf(at, clock.Monotonic()), true
}

// Leave has the datagrams of f come to user space from now on. What was counted stays until
// [Path.Remove].
func (p *Path) Leave(f fastflow.Flow) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if k, at := p.find(f); at != nil {
		p.leave(k, at)
	}
}

// Remove forgets f, and returns what the program has forwarded of it; false: f is not admitted. Runs
// of the program that have begun before Leave may still count: call Remove when they are over.
func (p *Path) Remove(f fastflow.Flow) (u fastflow.Usage, ok bool) {
	if p == nil {
		return u, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	k, at := p.find(f)
	if at == nil {
		return u, false
	}
	p.leave(k, at)
	u = usageOf(at, clock.Monotonic())
	p.drop(k)
	return u, true
}

// find finds f, and not another flow of the same client and dst; at is nil if f is not admitted. The caller holds mu.
func (p *Path) find(f fastflow.Flow) (k key, at *usage) {
	if p.objects == nil { // closed
		return k, nil
	}
	k = keyOf(f.Client, f.Dst)
	a, ok := p.flows[p.hash(k)]
	if !ok || a.back != uint32(p.hash(keyOf(f.Origin, f.Source))) {
		return k, nil
	}
	at, _ = p.places.at(a.place) // it is mapped
	return k, at
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

// drop deletes all that there is of a flow, if there is one. The caller holds mu.
func (p *Path) drop(k key) {
	a, ok := p.flows[p.hash(k)]
	if !ok {
		return
	}
	delete(p.flows, p.hash(k))
	if at, err := p.places.at(a.place); err == nil {
		p.leave(k, at)
		p.places.give(at.Id)
	}
}

// leave deletes the entries of a flow, the answers' only if no other flow has it. The caller holds mu.
func (p *Path) leave(k key, at *usage) {
	shares := at.State == sharing
	if at.State == left {
		return
	}
	atomic.StoreUint32(&at.State, left)
	if e, ok := p.table.take(&k, at.Id); ok { // if not, the next process has admitted it
		p.removeBack(reversed(e.To), shares)
	}
}

// removeBack deletes the entry of answers, if no other flow has it. The caller holds mu.
func (p *Path) removeBack(back key, shares bool) {
	if shares {
		if p.shared[back]--; p.shared[back] > 0 {
			return
		}
		delete(p.shared, back)
	}
	p.table.remove(&back)
}
