package origin

import (
	"net/netip"
	"slices"
	"sync/atomic"

	"anyport/config"
	"anyport/proxy/health"
)

// Origin is one origin of a route in service. It is safe for concurrent use: the loops of TCP and UDP,
// and the goroutine that takes the results of checks, share it.
type Origin struct {
	config.Origin
	counts *counts
	queues *queues      // of its pool; nil: nobody can wait for it
	weight atomic.Int32 // the file's, until an operator sets another one

	// Of the addresses of a DNS name (see ways.go).
	other    *Origin // the other way to the same server; nil: there is none
	vanished bool    // its name no longer has it: it takes nothing new
}

// counts are kept across reloads, also if a reload changes the weight.
type counts struct {
	active      atomic.Int64
	peak        atomic.Int64 // the most that active has been, in this process
	own, before tally        // of this process, and of others
	trends      trends

	refusals [2]refusals  // over TCP and over UDP
	ways     refusals     // dials over TCP that failed, of an origin with two ways
	accepted atomic.Int64 // when a dial last succeeded, in ns since epoch; 0: never
	failures [2]failures  // over TCP and over UDP
	errors   [ErrorClasses]atomic.Uint64
	sources  sources

	state   atomic.Pointer[health.State] // nil: the zero State
	last    atomic.Pointer[health.Result]
	failed  atomic.Uint64 // active checks
	retries atomic.Uint64 // dials that were not the first of their conn or flow
	moves   atomic.Uint64 // conns and flows that went on from here to another server after a dial had failed
	changes [health.Verdicts]atomic.Uint64

	_     [64]byte         // what follows is written for every read of every conn: a cache line of its own
	bytes [2]atomic.Uint64 // payload, by route.Direction
	_     [64]byte
}

// isAmong reports whether o is one of some origins, each of which may be of the pool that was in service
// before the addresses of a name changed: then it is another Origin with the same counts.
func (o *Origin) isAmong(origins []*Origin) bool {
	return slices.ContainsFunc(origins, func(other *Origin) bool { return other.counts == o.counts })
}

// At is the address to dial for a client that asked for port.
func (o *Origin) At(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(o.Addr, o.Port(port))
}

// Begin counts a conn or flow that goes to o. The caller owes one End.
func (o *Origin) Begin() {
	o.counts.raisePeak(o.counts.active.Add(1))
	o.counts.own.conns.Add(1)
}

// Resume is Begin for a conn or flow of another process, which has counted its beginning.
func (o *Origin) Resume() { o.counts.raisePeak(o.counts.active.Add(1)) }

// raisePeak notes that n conns and flows are live.
func (c *counts) raisePeak(n int64) {
	for peak := c.peak.Load(); n > peak && !c.peak.CompareAndSwap(peak, n); peak = c.peak.Load() {
	}
}

// Carry counts payload in a direction, 0 to the origin and 1 to the client.
func (o *Origin) Carry(direction int, bytes int) { o.counts.bytes[direction].Add(uint64(bytes)) }

// Carried is the payload in a direction, with what AddCount has added.
func (o *Origin) Carried(direction int) uint64 { return o.counts.bytes[direction].Load() }

// Peak is the most conns and flows that were live at once in this process.
func (o *Origin) Peak() int64 { return o.counts.peak.Load() }

// TryBegin is Begin, unless o has max_conns already. It adds first and takes back after, so that no two
// loops can both take the last place, by whichever way.
func (o *Origin) TryBegin() bool {
	active := o.counts.active.Add(1)
	if o.MaxConns > 0 && o.activeByBoth() > int64(o.MaxConns) {
		o.End() // what it took back may have been a place for another one
		return false
	}
	o.counts.raisePeak(active)
	o.counts.own.conns.Add(1)
	return true
}

// Full reports whether o has max_conns.
func (o *Origin) Full() bool { return o.MaxConns > 0 && o.activeByBoth() >= int64(o.MaxConns) }

// End counts the end of a conn or flow that Begin or Resume has counted.
func (o *Origin) End() {
	o.counts.active.Add(-1)
	o.queues.free()
}

// Active is the number of live conns and flows.
func (o *Origin) Active() int64 { return o.counts.active.Load() }

// activeByBoth is Active of the server: an origin with two ways holds what both of them hold.
func (o *Origin) activeByBoth() int64 {
	n := o.Active()
	if o.other != nil {
		n += o.other.Active()
	}
	return n
}

// Total is the number of conns and flows that began here, with those that AddCount has added.
func (o *Origin) Total() uint64 {
	return o.counts.own.conns.Load() + o.counts.before.conns.Load()
}

// CurrentWeight is the weight that new conns are shared by.
func (o *Origin) CurrentWeight() int { return int(o.weight.Load()) }

// SetWeight has new conns shared by another weight until the next reload.
func (o *Origin) SetWeight(n int) { o.weight.Store(int32(n)) }
