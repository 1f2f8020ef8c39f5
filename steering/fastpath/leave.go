package fastpath

import (
	"anyport/bpf/fastflow"
	"anyport/steering/clock"
)

// Leave has the datagrams of f come to user space from now on. What was counted stays until
// [Path.Remove].
func (p *Path) Leave(f fastflow.Flow) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if k, at, ok := p.find(f); ok {
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
	k, at, ok := p.find(f)
	if !ok {
		return u, false
	}
	p.leave(k, at)
	u = at.count(clock.Monotonic())
	p.drop(k)
	return u, true
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
		p.places.give(at.id())
	}
}

// leave deletes the entries of a flow, the answers' only if no other flow has it. The caller holds mu.
func (p *Path) leave(k key, at place) {
	shares := at.state() == sharing
	if at.state() == left {
		return
	}
	at.setState(left)
	if e, ok := p.table.take(k, at.id()); ok { // if not, the next process has admitted it
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
	p.table.remove(back)
}
