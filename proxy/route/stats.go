package route

import (
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"anyport/config"
	"anyport/proxy/client"
	"anyport/proxy/trend"
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

// acquire counts one more conn or flow, unless a limit of c is reached.
func (s *Stats) acquire(c *config.Route, p config.Protocol, from netip.Addr) Verdict {
	v := s.acquirePlace(c, p)
	if v == Admitted {
		if v = s.acquireClient(c, from); v != Admitted {
			s.releasePlace(p)
		}
	}
	return v
}

// acquireClient is the part of acquire that is the client's.
func (s *Stats) acquireClient(c *config.Route, from netip.Addr) Verdict {
	if c.MaxConnsPerClient > 0 && !s.perClient.acquire(client.Of(from), c.MaxConnsPerClient) {
		return OverMaxPerClient
	}
	return Admitted
}

// acquirePlace is the part of acquire that is the route's. It adds first and takes back after: so no
// two loops can both take the last place.
func (s *Stats) acquirePlace(c *config.Route, p config.Protocol) Verdict {
	flows := s.active[index(p)].Add(1)
	all := s.active[0].Load() + s.active[1].Load()
	switch {
	case over(all, c.MaxConns):
		s.active[index(p)].Add(-1)
		return OverMaxConns
	case p == config.UDP && over(flows, c.MaxFlows):
		s.active[index(p)].Add(-1)
		return OverMaxFlows
	}
	s.raisePeak(all)
	return Admitted
}

// readmit is acquire without the limits.
func (s *Stats) readmit(c *config.Route, p config.Protocol, from netip.Addr) {
	if c.MaxConnsPerClient > 0 {
		s.perClient.acquire(client.Of(from), math.MaxInt)
	}
	s.readmitPlace(p)
}

func (s *Stats) readmitPlace(p config.Protocol) {
	s.active[index(p)].Add(1)
	s.raisePeak(s.active[0].Load() + s.active[1].Load())
}

// raisePeak notes that n conns and flows are live.
func (s *Stats) raisePeak(n int64) {
	for peak := s.peak.Load(); n > peak && !s.peak.CompareAndSwap(peak, n); peak = s.peak.Load() {
	}
}

// Peak is the most conns and flows that were live at once in this process.
func (s *Stats) Peak() int64 { return s.peak.Load() }

func over(n int64, most int) bool { return most > 0 && n > int64(most) }

// release undoes acquire and readmit. c must be the route that was given to them.
func (s *Stats) release(c *config.Route, p config.Protocol, from netip.Addr) {
	s.releaseClient(c, from)
	s.releasePlace(p)
}

// releaseClient undoes acquireClient.
func (s *Stats) releaseClient(c *config.Route, from netip.Addr) {
	if c.MaxConnsPerClient > 0 {
		s.perClient.release(client.Of(from))
	}
}

func (s *Stats) releasePlace(p config.Protocol) { s.active[index(p)].Add(-1) }

// connsByClient counts conns and flows for each client, as [client.Of] has it. It holds no client
// that has none, so the limits of the route bound it.
type connsByClient struct {
	mu   sync.Mutex
	held map[netip.Addr]int
}

func (c *connsByClient) acquire(client netip.Addr, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held[client] >= most {
		return false
	}
	if c.held == nil {
		c.held = map[netip.Addr]int{}
	}
	c.held[client]++
	return true
}

func (c *connsByClient) release(client netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held[client]--; c.held[client] <= 0 {
		delete(c.held, client)
	}
}
