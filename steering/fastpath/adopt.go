package fastpath

import (
	"fmt"
	"iter"

	"anyport/bpf/fastflow"
)

// Adopt makes the flows that a dead process has admitted those of p, and lists them with what was
// forwarded of each. The program goes on forwarding them until [Path.Raise]: [Path.Leave] and
// [Path.Remove] end those that nobody takes over. Call it once, before the first Admit, and not while
// the process before lives.
func (p *Path) Adopt() (iter.Seq2[fastflow.Flow, fastflow.Usage], error) {
	if p == nil {
		return func(func(fastflow.Flow, fastflow.Usage) bool) {}, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.objects == nil || p.fresh { // to look at all places would map and read 8 MB
		return func(func(fastflow.Flow, fastflow.Usage) bool) {}, nil
	}
	found, err := p.readLeft()
	if err != nil {
		return nil, fmt.Errorf("read the flows that the last process has admitted: %w", err)
	}
	return func(yield func(fastflow.Flow, fastflow.Usage) bool) {
		for _, f := range found {
			if u, ok := p.Usage(f); ok && !yield(f, u) {
				return
			}
		}
	}, nil
}

// readLeft notes the flows that are whole in the kernel, and deletes what is left of others: the
// process may have died between two steps. The caller holds mu.
func (p *Path) readLeft() (found []fastflow.Flow, err error) {
	all, err := p.table.adopt()
	if err != nil {
		return nil, err
	}
	used, answered := map[uint64]bool{}, map[key]bool{}
	for k, e := range all {
		if e.ToClient != 0 {
			continue
		}
		f := flowOf(k, e, false)
		back := keyOf(f.Origin, f.Source)
		answer, whole := all[back]
		if f.SharesSource = answer.Shared != 0; !whole || !p.places.live(e.Id) || !f.SharesSource && answer.Id != e.Id {
			p.table.remove(k)
			continue
		}
		p.flows[p.hash(k)] = admitted{uint32(e.Id % maxFlows), uint32(p.hash(back))}
		if f.SharesSource {
			p.shared[back]++
		}
		used[e.Id], answered[back] = true, true
		found = append(found, f)
	}
	for k, e := range all {
		if e.ToClient != 0 && !answered[k] {
			p.table.remove(k)
		}
	}
	return found, p.places.adopt(used)
}
