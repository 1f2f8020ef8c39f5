package origin

import (
	"sync/atomic"

	"anyport/proxy/health"
)

// counter is a number of an origin that goes on in the next process, and the key by which versions of
// anyport know it: a key may be added, none may change its meaning.
type counter struct {
	key string
	of  func(*counts) *atomic.Uint64
}

var counters = func() []counter {
	all := []counter{
		{"conns", func(c *counts) *atomic.Uint64 { return &c.total }},
		{"bytes/to_origin", func(c *counts) *atomic.Uint64 { return &c.bytes[0] }},
		{"bytes/to_client", func(c *counts) *atomic.Uint64 { return &c.bytes[1] }},
		{"failed_dials", func(c *counts) *atomic.Uint64 { return &c.refusals[0].total }},
		{"refusals", func(c *counts) *atomic.Uint64 { return &c.refusals[1].total }},
	}
	for v := range health.Verdicts {
		all = append(all, counter{"changes/" + v.String(), func(c *counts) *atomic.Uint64 { return &c.changes[v] }})
	}
	for c := NoError + 1; c < ErrorClasses; c++ {
		all = append(all, counter{"errors/" + c.String(), func(counts *counts) *atomic.Uint64 { return &counts.errors[c] }})
	}
	return all
}()

// Counts yields the counters of o that are not 0.
func (o *Origin) Counts(yield func(key string, n uint64)) {
	for _, c := range counters {
		if n := c.of(o.counts).Load(); n > 0 {
			yield(c.key, n)
		}
	}
}

// AddCount adds what another process has counted. It ignores a key that it does not know.
func (o *Origin) AddCount(key string, n uint64) {
	for _, c := range counters {
		if c.key == key {
			c.of(o.counts).Add(n)
		}
	}
}
