package route

import (
	"sync/atomic"

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
	for i := range len(Bounds) + 1 {
		key := "connects/over"
		if i < len(Bounds) {
			key = "connects/" + Bounds[i].String()
		}
		add(key, func(c *Counters) *atomic.Uint64 { return &c.connects.counts[i] })
	}
	add("connects/ns", func(c *Counters) *atomic.Uint64 { return &c.connects.sum })
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

// Counts yields the counters of the route that are not 0.
func (s *Stats) Counts(yield func(key string, n uint64)) {
	var shards []*Counters
	for i := range s.shards {
		if c := s.shards[i].Load(); c != nil {
			shards = append(shards, c)
		}
	}
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

// AddCount adds what another process has counted to the first shard: that costs its loop no more than
// one addition of its own. It ignores a key that it does not know.
func (s *Stats) AddCount(key string, n uint64) {
	if c, known := counterOf[key]; known {
		c.of(s.Shard(0)).Add(n)
	}
}
