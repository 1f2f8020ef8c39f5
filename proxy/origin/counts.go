package origin

import (
	"sync/atomic"
	"time"

	"anyport/proxy/health"
)

// counter is a number of an origin that goes on in the next process, and the key by which versions of
// anyport know it: a key may be added, none may change its meaning.
type counter struct {
	key string
	of  func(*counts) *atomic.Uint64 // what another process has counted is added to it
	own func(*counts) *atomic.Uint64 // of this process, if of has only that of others; otherwise nil
}

// total is the counter over all processes.
func (c counter) total(counts *counts) uint64 {
	n := c.of(counts).Load()
	if c.own != nil {
		n += c.own(counts).Load()
	}
	return n
}

// tallied is a counter that a [tally] has.
func tallied(key string, of func(*tally) *atomic.Uint64) counter {
	return counter{key, func(c *counts) *atomic.Uint64 { return of(&c.before) }, func(c *counts) *atomic.Uint64 { return of(&c.own) }}
}

var counters = func() []counter {
	all := []counter{
		tallied("conns", func(t *tally) *atomic.Uint64 { return &t.conns }),
		tallied("connects", func(t *tally) *atomic.Uint64 { return &t.connects.Count }),
		tallied("connects/ns", func(t *tally) *atomic.Uint64 { return &t.connects.Total }),
		tallied("sessions", func(t *tally) *atomic.Uint64 { return &t.sessions.Count }),
		tallied("sessions/ns", func(t *tally) *atomic.Uint64 { return &t.sessions.Total }),
		{"failed_checks", func(c *counts) *atomic.Uint64 { return &c.failed }, nil},
		{"retries", func(c *counts) *atomic.Uint64 { return &c.retries }, nil},
		{"retries/elsewhere", func(c *counts) *atomic.Uint64 { return &c.moves }, nil},
		{"bytes/to_origin", func(c *counts) *atomic.Uint64 { return &c.bytes[0] }, nil},
		{"bytes/to_client", func(c *counts) *atomic.Uint64 { return &c.bytes[1] }, nil},
		{"failed_dials", func(c *counts) *atomic.Uint64 { return &c.refusals[0].total }, nil},
		{"refusals", func(c *counts) *atomic.Uint64 { return &c.refusals[1].total }, nil},
	}
	for v := range health.Verdicts {
		all = append(all, counter{"changes/" + v.String(), func(c *counts) *atomic.Uint64 { return &c.changes[v] }, nil})
	}
	for c := NoError + 1; c < ErrorClasses; c++ {
		all = append(all, counter{"errors/" + c.String(), func(counts *counts) *atomic.Uint64 { return &counts.errors[c] }, nil})
	}
	return all
}()

// keyDown is the key of how long o was down.
const keyDown = "down/ns"

// Counts yields the counters of o that are not 0.
func (o *Origin) Counts(yield func(key string, n uint64)) {
	for _, c := range counters {
		if n := c.total(o.counts); n > 0 {
			yield(c.key, n)
		}
	}
	if down := o.counts.trends.down.Total(); down > 0 {
		yield(keyDown, uint64(down))
	}
}

// AddCount adds what another process has counted. It ignores a key that it does not know.
func (o *Origin) AddCount(key string, n uint64) {
	if key == keyDown {
		o.counts.trends.down.Add(time.Duration(n), 0)
	}
	for _, c := range counters {
		if c.key == key {
			c.of(o.counts).Add(n)
		}
	}
}
