package text

import (
	"cmp"
	"slices"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// Carried is what a flow had carried at the moment of a sample.
type Carried struct{ ToOrigin, ToClient uint64 }

// FlowSample is what flows had carried at one moment, by their ids.
type FlowSample struct {
	At      time.Time
	Carried map[string]Carried
}

// Add notes one flow.
func (s FlowSample) Add(f admin.Flow) error {
	s.Carried[f.ID] = Carried{f.ToOrigin, f.ToClient}
	return nil
}

// Rated returns the flow with its rates since the sample. A flow that is not in it began since, or was not
// among those that were asked for: it counts from its beginning.
func (s FlowSample) Rated(f admin.Flow, now time.Time) admin.Flow {
	before, known := s.Carried[f.ID]
	span := now.Sub(s.At).Seconds()
	if !known {
		span = f.AgeSeconds
	}
	span = max(span, 0.001)
	f.FlowRates = &admin.FlowRates{ToOrigin: grown(f.ToOrigin, before.ToOrigin) / span, ToClient: grown(f.ToClient, before.ToClient) / span}
	return f
}

// Busiest chooses the flows with the highest rates. It holds twice as many as it returns.
type Busiest struct {
	Most  int
	best  []admin.Flow
	total int
}

// Add considers one flow, which has its rates.
func (b *Busiest) Add(f admin.Flow) {
	b.total++
	if b.best = append(b.best, f); len(b.best) == 2*b.Most {
		b.cut()
	}
}

func (b *Busiest) cut() {
	slices.SortStableFunc(b.best, func(x, y admin.Flow) int { return cmp.Compare(bothRates(y), bothRates(x)) })
	b.best = b.best[:min(b.Most, len(b.best))]
}

// bothRates is the rate of a flow in both directions together.
func bothRates(f admin.Flow) float64 { return f.FlowRates.ToOrigin + f.FlowRates.ToClient }

// List returns the busiest first.
func (b *Busiest) List() admin.FlowList {
	b.cut()
	return admin.FlowList{Flows: append([]admin.Flow{}, b.best...), Total: b.total}
}
