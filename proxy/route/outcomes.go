package route

import (
	"sync/atomic"

	"anyport/config"
)

// Outcomes are how many conns and flows of several routes came, and how they ended. With very many routes the sum costs
// a small part of that of all Totals: it has no maps until the end.
type Outcomes struct {
	Arrived uint64
	ended   [protocols][Verdicts]uint64
}

// AddOutcomes adds those of a route, what other processes have counted included.
func (s *Stats) AddOutcomes(o *Outcomes) {
	for c := range s.counted {
		for p := range protocols {
			o.Arrived += c.arrived[p].Load()
			addAll(&o.ended[p], &c.ended[p])
		}
	}
}

func addAll(sums *[Verdicts]uint64, counts *[Verdicts]atomic.Uint64) {
	for v := range counts {
		sums[v] += counts[v].Load()
	}
}

// Totals are the sums in the form of those of a route, which have more.
func (o *Outcomes) Totals() Totals {
	t := Totals{Arrived: o.Arrived, Ended: map[config.Protocol]map[Verdict]uint64{config.TCP: {}, config.UDP: {}}}
	for p, ended := range t.Ended {
		for v, n := range o.ended[index(p)] {
			add(ended, Verdict(v), n)
		}
	}
	return t
}
