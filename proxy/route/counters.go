package route

import (
	"sync/atomic"
	"time"

	"anyport/config"
	"anyport/proxy/trend"
)

// Direction is which way bytes and datagrams went.
type Direction uint8

// The directions.
const (
	ToOrigin Direction = iota
	ToClient
	directions
)

func (d Direction) String() string { return [...]string{"to_origin", "to_client"}[d] }

// Counters is one loop's part of a route's counts. The loop writes it, anyone may read it.
type Counters struct {
	arrived   [protocols]atomic.Uint64
	ended     [protocols][Verdicts]atomic.Uint64
	bytes     [protocols][directions]atomic.Uint64
	datagrams [directions][Verdicts]atomic.Uint64
	heldBack  atomic.Uint64
	connects  Histogram
	waits     Histogram              // in the queue, of conns that then got an origin
	sessions  [protocols]trend.Adder // that reached an origin: from their begin to their end
	retries   atomic.Uint64
	moves     atomic.Uint64

	fast        [directions]atomic.Uint64 // of datagrams/forwarded: those of the kernel
	fastRefused [FastReasons]atomic.Uint64

	_ [64]byte // the next shard begins on a cache line of its own
}

// Arrive counts a new conn or flow, whether it begins or is refused. One that another process has sent
// arrived there.
func (c *Counters) Arrive(p config.Protocol) { c.arrived[index(p)].Add(1) }

// End counts a conn or flow that has ended, or was never begun.
func (c *Counters) End(p config.Protocol, v Verdict) { c.ended[index(p)][v].Add(1) }

// Bytes counts payload relayed, headers not included.
func (c *Counters) Bytes(p config.Protocol, d Direction, n int) {
	c.bytes[index(p)][d].Add(uint64(n))
}

// Datagrams counts n datagrams with the same verdict.
func (c *Counters) Datagrams(d Direction, v Verdict, n int) { c.datagrams[d][v].Add(uint64(n)) }

// HeldBack counts the bytes of an answer that is not sent because its client has not shown yet that
// it is there.
func (c *Counters) HeldBack(bytes int) { c.heldBack.Add(uint64(bytes)) }

// Connected counts how long an origin took to accept a conn.
func (c *Counters) Connected(took time.Duration) { c.connects.observe(took) }

// Waited counts how long a conn was in the queue that has got an origin.
func (c *Counters) Waited(took time.Duration) { c.waits.observe(took) }

// Served counts how long a conn or flow has lasted that reached an origin, from its begin to its end.
func (c *Counters) Served(p config.Protocol, took time.Duration) { c.sessions[index(p)].Add(took) }

// Retried counts a dial that is not the first one of its conn or flow. elsewhere: the one before was of
// another server.
func (c *Counters) Retried(elsewhere bool) {
	c.retries.Add(1)
	if elsewhere {
		c.moves.Add(1)
	}
}

// Totals is the sum of all shards at one moment.
type Totals struct {
	Arrived   uint64 // conns and flows
	Ended     map[config.Protocol]map[Verdict]uint64
	Bytes     map[config.Protocol]map[Direction]uint64
	Datagrams map[Direction]map[Verdict]uint64
	HeldBack  uint64 // bytes
	Connects  Buckets
	Waits     Buckets
	Sessions  map[config.Protocol]trend.Sum
	Retries   uint64 // dials after the first one of a conn or flow
	Moves     uint64 // of these, to another server

	Fast        map[Direction]uint64 // datagrams that the kernel has forwarded, which are in Datagrams, too
	FastRefused map[FastReason]uint64
}

// Totals sums the shards, and what other processes have counted. Verdicts that were never counted are left
// out.
func (s *Stats) Totals() Totals {
	t := Totals{
		Sessions:  map[config.Protocol]trend.Sum{},
		Ended:     map[config.Protocol]map[Verdict]uint64{config.TCP: {}, config.UDP: {}},
		Bytes:     map[config.Protocol]map[Direction]uint64{config.TCP: {}, config.UDP: {}},
		Datagrams: map[Direction]map[Verdict]uint64{ToOrigin: {}, ToClient: {}},

		Fast:        map[Direction]uint64{},
		FastRefused: map[FastReason]uint64{},
	}
	for c := range s.counted {
		c.addTo(&t)
	}
	return t
}

func (c *Counters) addTo(t *Totals) {
	for _, p := range []config.Protocol{config.TCP, config.UDP} {
		t.Arrived += c.arrived[index(p)].Load()
		if served := c.sessions[index(p)].Sum(); served.Count > 0 {
			t.Sessions[p] = t.Sessions[p].Plus(served)
		}
		for v := range Verdicts {
			add(t.Ended[p], v, c.ended[index(p)][v].Load())
		}
		for d := range directions {
			add(t.Bytes[p], d, c.bytes[index(p)][d].Load())
		}
	}
	for d := range directions {
		for v := range Verdicts {
			add(t.Datagrams[d], v, c.datagrams[d][v].Load())
		}
		add(t.Fast, d, c.fast[d].Load())
	}
	for r := range FastReasons {
		add(t.FastRefused, r, c.fastRefused[r].Load())
	}
	t.HeldBack += c.heldBack.Load()
	c.connects.addTo(&t.Connects)
	c.waits.addTo(&t.Waits)
	t.Retries += c.retries.Load()
	t.Moves += c.moves.Load()
}

func add[K comparable](sums map[K]uint64, key K, n uint64) {
	if n > 0 {
		sums[key] += n
	}
}
