package bpfmaps

import (
	"iter"
	"time"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/table"
)

// over is a time that has passed: the host was booted before.
const over = 1

// ValidUntil returns until when the kernel may let in clients of the routes with active, by name, at
// the time now, which is the time boot of the kernel's clock. A route that is in force for ever is
// not among them.
//
// A route that is not in force has the lowest time that means one. Whatever bytes of it and of another
// time are mixed, the result is no more than 1 ns after it. So a lookup that meets a half-written time sees the
// route as it is before or after.
func ValidUntil(routes []*config.Route, now time.Time, boot time.Duration) map[string]uint64 {
	until := map[string]uint64{}
	for _, r := range routes {
		if len(r.Active) == 0 {
			continue
		}
		if !r.Active.Contains(now) {
			until[r.Name] = over
			continue
		}
		if next, ends := r.Active.Next(now); ends {
			until[r.Name] = uint64(boot + next.Sub(now))
		}
	}
	return until
}

// WriteHours writes ValidUntil of h into the bindings of t, which may be in service: the rest of what it
// writes is there already.
func (h Half) WriteHours(t *table.Table, numbers map[string]uint32) error {
	return Put(h.Maps.Bindings, h.scheduledEntries(t, numbers))
}

// scheduledEntries yields the bindings of the routes with active.
func (h Half) scheduledEntries(t *table.Table, numbers map[string]uint32) iter.Seq2[uint32, bpf.SteerBinding] {
	return func(yield func(uint32, bpf.SteerBinding) bool) {
		bindings := t.Bindings()
		for i, entry := range h.bindingEntries(t, numbers) {
			of := int(i - h.FirstBinding())
			if of < len(bindings) && bindings[of].Route != nil && len(bindings[of].Route.Active) > 0 && !yield(i, entry) {
				return
			}
		}
	}
}
