package fastpath

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"anyport/bpf"
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
	lastID     atomic.Uint64

	raising sync.Mutex // guards the generation in the kernel

	mu     sync.Mutex
	flows  map[forth]admitted // what fast_usage has
	shared map[key]int        // how many flows have an entry for their answers in common

	devices  devices // its own mutex
	relinked atomic.Bool
	events   events
	failure  atomic.Pointer[string] // of the last update; nil or "": none
}

// forth is what tells flows apart: what their clients' datagrams have.
type forth key

// admitted is what is needed of a flow to undo its entries.
type admitted struct {
	id      uint64 // in fast_usage
	back    key    // of the entry for the origin's datagrams
	shares  bool   // that entry
	entries bool   // they are there
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
	if err := p.objects.Generation.Lookup(uint32(0), &now); err != nil {
		return fmt.Errorf("read the generation of the fast path: %w", err)
	}
	if now++; now == 0 { // which user space takes for "never"
		now++
	}
	if err := p.objects.Generation.Put(uint32(0), now); err != nil {
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
	if _, again := p.flows[forth(e.forth)]; again {
		p.drop(forth(e.forth))
	}
	err = p.put(e)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.E2BIG):
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
	return entriesOf(f, client, origin, generation, p.lastID.Add(1), untilOf(f.Until)), nil
}

// put makes both entries or none, the one for the client's datagrams last. The caller holds mu.
func (p *Path) put(e entries) error {
	a := admitted{id: e.toOrigin.Id, back: e.back, shares: e.toClient.Shared != 0, entries: true}
	usage := bpf.FastFlowUsage{Last: uint64(clock.Monotonic())}
	if err := p.objects.Usage.Put(a.id, &usage); err != nil {
		return err
	}
	p.flows[forth(e.forth)] = a
	if a.shares {
		p.shared[a.back]++
	}
	err := p.objects.Flows.Put(&e.back, &e.toClient)
	if err == nil {
		err = p.objects.Flows.Put(&e.forth, &e.toOrigin)
	}
	if err != nil {
		p.drop(forth(e.forth))
	}
	return err
}

// Usage says what the program has forwarded of f; false: f is not admitted.
func (p *Path) Usage(f fastflow.Flow) (fastflow.Usage, bool) {
	if p == nil {
		return fastflow.Usage{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, a, ok := p.find(f)
	if !ok {
		return fastflow.Usage{}, false
	}
	return p.usage(a.id)
}

// Leave has the datagrams of f come to user space from now on. What was counted stays until
// [Path.Remove].
func (p *Path) Leave(f fastflow.Flow) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if k, _, ok := p.find(f); ok {
		p.leave(k)
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
	k, a, ok := p.find(f)
	if !ok {
		return u, false
	}
	p.leave(k)
	u, ok = p.usage(a.id)
	p.drop(k)
	return u, ok
}

// find finds f, and not another flow of the same client and dst. The caller holds mu.
func (p *Path) find(f fastflow.Flow) (k forth, a admitted, ok bool) {
	k = forth(keyOf(f.Client, f.Dst))
	a, ok = p.flows[k]
	return k, a, ok && a.back == keyOf(f.Origin, f.Source) && p.objects != nil
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

// drop deletes all that the kernel has of a flow. The caller holds mu.
func (p *Path) drop(k forth) {
	p.leave(k)
	_ = p.objects.Usage.Delete(p.flows[k].id) // if it is not there, so much the better
	delete(p.flows, k)
}

// leave deletes the entries of a flow, the answers' only if no other flow has it. The caller holds mu.
func (p *Path) leave(k forth) {
	a, ok := p.flows[k]
	if !ok || !a.entries || p.objects == nil {
		return
	}
	a.entries = false
	p.flows[k] = a
	var now entry
	ours := p.objects.Flows.Lookup((*key)(&k), &now) != nil || now.Id == a.id // else the next process has admitted it
	if ours {
		_ = p.objects.Flows.Delete((*key)(&k))
	}
	if a.shares {
		p.shared[a.back]--
		ours = ours && p.shared[a.back] == 0
		if p.shared[a.back] == 0 {
			delete(p.shared, a.back)
		}
	}
	if ours {
		_ = p.objects.Flows.Delete(&a.back)
	}
}

// usage reads what was counted under id.
func (p *Path) usage(id uint64) (u fastflow.Usage, ok bool) {
	var counted bpf.FastFlowUsage
	if err := p.objects.Usage.Lookup(id, &counted); err != nil {
		return u, false
	}
	return usageOf(&counted, clock.Monotonic()), true
}
