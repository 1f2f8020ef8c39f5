package report

import (
	"time"

	"anyport/integration/bench/load"
)

// Samples are what a run of the benchmarks has measured, and where.
type Samples struct {
	Machine    Machine
	Start, End time.Time
	LoadAfter  string // loadavg
	Seconds    float64
	Runs       int
	Skipped    []string // peers that are not installed
	Failures   []string // samples that came to nothing
	All        []Sample
}

// Sample is one measurement of one peer.
type Sample struct {
	Scenario string
	Peer     string
	Run      int
	Result   load.Result
}

// Finish notes when the run ended, and under which load.
func (s *Samples) Finish() {
	s.End, s.LoadAfter = time.Now(), loadAverage()
}

// Section is what the tables show of one scenario.
type Section struct {
	Name    string
	Title   string
	Rival   string // the peer that the others are compared with, beside plain routing
	Peers   []string
	Metrics []Metric // the first is what the scenario is about
}

// Metric is one column.
type Metric struct {
	Name  string
	Less  bool // is better
	CPU   bool // of the proxy: it is compared with the rival's
	Over  bool // what plain routing has is subtracted
	Value func(load.Result) float64
}

// routed is the peer without a proxy.
const routed = "routed"

// values are a metric's values for a peer, in the order of the runs.
func (s Samples) values(section Section, peer string, m Metric) []float64 {
	var ground Summary
	if m.Over {
		ground = summarise(s.values(section, routed, Metric{Value: m.Value}))
		if ground.Runs == 0 {
			return nil
		}
	}
	var values []float64
	for _, sample := range s.All {
		if sample.Scenario == section.Name && sample.Peer == peer {
			values = append(values, m.Value(sample.Result)-ground.Median)
		}
	}
	return values
}
