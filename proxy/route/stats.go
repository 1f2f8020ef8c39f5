package route

import (
	"sync/atomic"

	"anyport/config"
)

// Stats is what is counted of a route, under its name, across reloads. It is safe for concurrent use:
// the limits are shared by all loops, the counters are each loop's own.
type Stats struct {
	active    [protocols]atomic.Int64                     // live conns, live flows
	fast      atomic.Int64                                // see Fast
	peak      atomic.Int64                                // the most conns and flows at once, in this process
	perClient connsByClient                               // counted only with max_conns_per_client
	draining  atomic.Bool                                 // by hand: see Drain
	inactive  atomic.Bool                                 // not in force now: see SetInactive
	shared    atomic.Pointer[[directions]SharedBandwidth] // nil: there is no route_bandwidth
	shards    []atomic.Pointer[Counters]                  // each made by its first use: most of 60,000 routes are idle
	before    atomic.Pointer[Counters]                    // what other processes have counted; nil: nothing
	trends    trends
}

func newStats(shards int) *Stats { return &Stats{shards: make([]atomic.Pointer[Counters], shards)} }

// protocols is the number of protocols; index makes one an array's index.
const protocols = 2

func index(p config.Protocol) int {
	if p == config.UDP {
		return 1
	}
	return 0
}

// Active is the number of live conns (TCP) or flows (UDP).
func (s *Stats) Active(p config.Protocol) int64 { return s.active[index(p)].Load() }

// Shard returns the counters of one event loop. A loop counts only in its own shard, so that no two
// cores write to one cache line.
func (s *Stats) Shard(loop int) *Counters {
	shard := &s.shards[loop]
	if c := shard.Load(); c != nil {
		return c
	}
	shard.CompareAndSwap(nil, new(Counters))
	return shard.Load()
}

// own yields the shards that have been used.
func (s *Stats) own(yield func(*Counters) bool) {
	for i := range s.shards {
		if c := s.shards[i].Load(); c != nil && !yield(c) {
			return
		}
	}
}

// counted is own, and what other processes have counted.
func (s *Stats) counted(yield func(*Counters) bool) {
	if c := s.before.Load(); c != nil && !yield(c) {
		return
	}
	s.own(yield)
}
