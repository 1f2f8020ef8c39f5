package route

import (
	"slices"
	"sync/atomic"
	"time"

	"anyport/config"
)

// counter is a number of a route that goes on in the next process, and the key by which versions of
// anyport know it: a key may be added, none may change its meaning.
type counter struct {
	key string
	of  func(*Counters) *atomic.Uint64
}

var counters = func() (all []counter) {
	add := func(key string, of func(*Counters) *atomic.Uint64) { all = append(all, counter{key, of}) }
	for _, p := range []config.Protocol{config.TCP, config.UDP} {
		add(p.String()+"/arrived", func(c *Counters) *atomic.Uint64 { return &c.arrived[index(p)] })
		for d := range directions {
			add(p.String()+"/bytes/"+d.String(), func(c *Counters) *atomic.Uint64 { return &c.bytes[index(p)][d] })
		}
		for v := range Verdicts {
			add(p.String()+"/ended/"+v.String(), func(c *Counters) *atomic.Uint64 { return &c.ended[index(p)][v] })
		}
		add(p.String()+"/sessions", func(c *Counters) *atomic.Uint64 { return &c.sessions[index(p)].Count })
		add(p.String()+"/sessions/ns", func(c *Counters) *atomic.Uint64 { return &c.sessions[index(p)].Total })
	}
	for d := range directions {
		for v := range Verdicts {
			add("datagrams/"+d.String()+"/"+v.String(), func(c *Counters) *atomic.Uint64 { return &c.datagrams[d][v] })
		}
	}
	for d := range directions {
		add("fast/"+d.String(), func(c *Counters) *atomic.Uint64 { return &c.fast[d] })
	}
	for r := range FastReasons {
		add("fast_refused/"+r.String(), func(c *Counters) *atomic.Uint64 { return &c.fastRefused[r] })
	}
	add("held_back", func(c *Counters) *atomic.Uint64 { return &c.heldBack })
	add("retries", func(c *Counters) *atomic.Uint64 { return &c.retries })
	add("retries/elsewhere", func(c *Counters) *atomic.Uint64 { return &c.moves })
	for _, h := range []struct {
		key string
		of  func(*Counters) *Histogram
	}{{"connects", func(c *Counters) *Histogram { return &c.connects }}, {"waits", func(c *Counters) *Histogram { return &c.waits }}} {
		for i := range len(Bounds) + 1 {
			key := h.key + "/over"
			if i < len(Bounds) {
				key = h.key + "/" + Bounds[i].String()
			}
			add(key, func(c *Counters) *atomic.Uint64 { return &h.of(c).counts[i] })
		}
		add(h.key+"/ns", func(c *Counters) *atomic.Uint64 { return &h.of(c).sum })
	}
	return all
}()

// counterOf finds a counter by its key.
var counterOf = func() map[string]counter {
	byKey := map[string]counter{}
	for _, c := range counters {
		byKey[c.key] = c
	}
	return byKey
}()

// Keys of what is counted of the route, and not in a shard.
const (
	keyOutage  = "outage/ns"
	keyOutages = "outages"
)

// Counts yields the counters of the route that are not 0.
func (s *Stats) Counts(yield func(key string, n uint64)) {
	for key, n := range map[string]uint64{keyOutage: uint64(s.trends.outage.Total()), keyOutages: s.trends.outage.Starts()} {
		if n > 0 {
			yield(key, n)
		}
	}
	shards := slices.Collect(s.counted)
	if len(shards) == 0 {
		return
	}
	for _, c := range counters {
		sum := uint64(0)
		for _, shard := range shards {
			sum += c.of(shard).Load()
		}
		if sum > 0 {
			yield(c.key, sum)
		}
	}
}

// AddCount adds what another process has counted: apart from this process's own counters, since that says
// nothing about how many came in a second here. It ignores a key that it does not know.
func (s *Stats) AddCount(key string, n uint64) {
	c, known := counterOf[key]
	switch {
	case key == keyOutage:
		s.trends.outage.Add(time.Duration(n), 0)
	case key == keyOutages:
		s.trends.outage.Add(0, n)
	case known:
		if s.before.Load() == nil {
			s.before.CompareAndSwap(nil, new(Counters))
		}
		c.of(s.before.Load()).Add(n)
	}
}
