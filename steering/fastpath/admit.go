package fastpath

import (
	"errors"

	"golang.org/x/sys/unix"

	"anyport/bpf/fastflow"
)

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
	err = p.put(e, f.SharesSource)
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
func (p *Path) put(e entries, shares bool) error {
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
	if err = p.table.put(e.back, e.toClient); err == nil {
		err = p.table.put(e.forth, e.toOrigin)
	}
	if err != nil {
		p.removeBack(e.back, shares)
		delete(p.flows, p.hash(e.forth))
		p.places.give(id)
	}
	return err
}
