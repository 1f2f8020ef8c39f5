package text

import (
	"cmp"
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

// ByRate has the flow with the higher rate first. Both have their rates.
func ByRate(a, b admin.Flow) int { return cmp.Compare(bothRates(b), bothRates(a)) }

// bothRates is the rate of a flow in both directions together.
func bothRates(f admin.Flow) float64 { return f.FlowRates.ToOrigin + f.FlowRates.ToClient }
