package api

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"

	"anyport/cmd/anyport/internal/admin"
)

// family is one metric of the table. It does not change.
type family struct {
	name, help string
	kind       dto.MetricType
	labels     []string // as the calls of gauge and counter give their values
	order      []int    // of the labels by their names
}

// families are all metrics of the table, in its order.
var families []*family

// metric adds a metric to the table: a counter if its name ends in _total, a histogram if values are
// observed, and otherwise a gauge. A label that has no value in a route is not exported.
func metric(name, help string, labels ...string) *family {
	f := &family{name: "anyport_" + name, help: help, kind: dto.MetricType_GAUGE, labels: labels}
	switch {
	case strings.HasSuffix(name, "_total"):
		f.kind = dto.MetricType_COUNTER
	case name == "origin_connect_seconds", name == "queue_wait_seconds":
		f.kind = dto.MetricType_HISTOGRAM
	}
	for i := range labels {
		f.order = append(f.order, i)
	}
	slices.SortFunc(f.order, func(a, b int) int { return strings.Compare(labels[a], labels[b]) })
	families = append(families, f)
	return f
}

// gatherer answers scrapes with the status, and with what the registry has. A collector of the status
// in the registry would take twice the CPU, since the registry checks and sorts each sample. Here the
// tests do these checks (TestLint), and the exporter adds samples in order.
type gatherer struct {
	mu       sync.Mutex // one scrape at a time: each may have many megabytes
	status   func() admin.Status
	registry prometheus.Gatherer
}

// runtimeMetrics are those of Go's runtime about memory: of some thirty, two are on dashboards.
var runtimeMetrics = collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/memory/classes/(total|heap/objects):bytes$`)}

// newGatherer gathers a status, and what Go and the kernel report about the process.
func newGatherer(status func() admin.Status) *gatherer {
	registry := prometheus.NewRegistry()
	prometheus.WrapRegistererWithPrefix("anyport_", registry).MustRegister(
		collectors.NewGoCollector(collectors.WithGoCollectorMemStatsMetricsDisabled(), collectors.WithGoCollectorRuntimeMetrics(runtimeMetrics)),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &gatherer{status: status, registry: registry}
}

// Gather implements [prometheus.Gatherer].
func (g *gatherer) Gather() ([]*dto.MetricFamily, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	all, err := g.registry.Gather()
	e := exporter{samples: map[*family][]*dto.Metric{}}
	e.export(g.status())
	for f, samples := range e.samples {
		all = append(all, &dto.MetricFamily{Name: &f.name, Help: &f.help, Type: &f.kind, Metric: samples})
	}
	slices.SortFunc(all, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return all, err
}

// exporter collects the samples of one scrape.
type exporter struct {
	samples map[*family][]*dto.Metric
	labels  labelSlab
}

// gauge exports a value that may fall again.
func (e *exporter) gauge(f *family, value float64, labels ...string) {
	e.add(f, labels).Gauge = &dto.Gauge{Value: &value}
}

// flag is a gauge of 1 or 0, as Prometheus has no booleans.
func (e *exporter) flag(f *family, on bool, labels ...string) {
	value := 0.0
	if on {
		value = 1
	}
	e.gauge(f, value, labels...)
}

// counter exports a value that only grows, also over reloads and upgrades.
func (e *exporter) counter(f *family, n uint64, labels ...string) {
	value := float64(n)
	e.add(f, labels).Counter = &dto.Counter{Value: &value}
}

// seconds is counter for a time.
func (e *exporter) seconds(f *family, seconds float64, labels ...string) {
	e.add(f, labels).Counter = &dto.Counter{Value: &seconds}
}

// histogram exports the cumulative buckets that [admin.Times] has already summed up.
func (e *exporter) histogram(f *family, t admin.Times, labels ...string) {
	sum := t.Sum.Seconds()
	h := &dto.Histogram{SampleCount: &t.Total, SampleSum: &sum}
	buckets := make([]dto.Bucket, 0, len(t.AtMost))
	for _, bound := range slices.Sorted(maps.Keys(t.AtMost)) {
		n := t.AtMost[bound]
		buckets = append(buckets, dto.Bucket{UpperBound: &bound, CumulativeCount: &n})
		h.Bucket = append(h.Bucket, &buckets[len(buckets)-1])
	}
	e.add(f, labels).Histogram = h
}

// add adds a sample with these values of the metric's labels.
func (e *exporter) add(f *family, values []string) *dto.Metric {
	m := &dto.Metric{Label: e.labels.pairs(f, values)}
	e.samples[f] = append(e.samples[f], m)
	return m
}

// labelSlab makes labels, of which a scrape has a million with 10,000 routes: many at a time.
type labelSlab struct {
	labels []dto.LabelPair
	list   []*dto.LabelPair
	values []string
}

// slabSize is how many labels are made at a time.
const slabSize = 1024

// pairs returns the labels of f with these values, by name.
func (s *labelSlab) pairs(f *family, values []string) []*dto.LabelPair {
	n := len(values)
	if n == 0 {
		return nil
	}
	if len(s.labels) < n {
		s.labels, s.list, s.values = make([]dto.LabelPair, slabSize), make([]*dto.LabelPair, slabSize), make([]string, slabSize)
	}
	labels, list, own := s.labels[:n], s.list[:n:n], s.values[:n]
	s.labels, s.list, s.values = s.labels[n:], s.list[n:], s.values[n:]
	copy(own, values)
	for i, at := range f.order {
		labels[i].Name, labels[i].Value = &f.labels[at], &own[at]
		list[i] = &labels[i]
	}
	return list
}
