package fleet

import (
	"net/netip"
	"time"
)

// A peer answers a question about no conn in its kernel, whatever its processes do. Who does not answer for
// silentFor is switched off, or cut off from this host. Then its word is not waited for before the conns of dead
// hosts are reset. It is asked itself as before, for aliveFor: if it is back in time it keeps its conns. Already
// after quietFor all are asked for what was learnt to be its own, which costs nothing if it lives: clients send
// seldom when nobody answers, and the others must have said twice that they do not have the conn.
const (
	// probeInterval is the time between two such questions to one peer.
	probeInterval = helloInterval / 2
	quietFor      = time.Second
	quietProbes   = 2
	// silentFor is more than a link needs to come up again, or a bond to change to another one.
	silentFor = 4 * time.Second
	// leastProbes is how many questions are to be in vain: a process that has stood still has asked none.
	leastProbes = 6
	// vouchedFor is how long ago another peer was heard at most: else this host is the one that is cut off.
	vouchedFor = 3 * probeInterval
)

// ear is what was heard of a peer. Its times are of [clock.Monotonic].
type ear struct {
	last    time.Duration // message that the program has seen; 0: none
	answers bool          // its kernel answers questions about no conn
	asked   int           // such questions since the last message
}

// listen notes when the program has seen a message of a peer last, and an answer about no conn; 0: never.
func (m *members) listen(peer netip.Addr, last, answered time.Duration) {
	p := m.all[peer]
	if p == nil {
		return
	}
	if last > p.ear.last {
		p.ear.last, p.ear.asked = last, 0
	}
	p.ear.answers = p.ear.answers || answered > 0
}

// probe notes that a peer is asked about no conn, if it is to be.
func (m *members) probe(peer netip.Addr) bool {
	p := m.all[peer]
	if p == nil || !p.alive {
		return false
	}
	p.ear.asked++
	return true
}

// hark notes which peers are quiet now, or silent. Of one that has never answered, nothing can be said.
func (m *members) hark(now time.Duration) {
	for a, p := range m.all {
		p.quiet = p.ear.answers && p.ear.asked >= quietProbes && now-p.ear.last >= quietFor
		p.silent = p.ear.answers && p.ear.asked >= leastProbes && now-p.ear.last >= silentFor && m.vouched(a, now)
	}
}

// vouched reports whether another peer than a was heard just now.
func (m *members) vouched(a netip.Addr, now time.Duration) bool {
	for other, p := range m.all {
		if other != a && p.ear.last > 0 && now-p.ear.last <= vouchedFor {
			return true
		}
	}
	return false
}

// needed are the bits of the peers that may have conns: those that are alive and not silent, and those that may
// only not have been heard yet.
func (m *members) needed(now time.Time) (bits uint64) {
	for i, a := range m.addrs() {
		p := m.all[a]
		unheard := p.heard.IsZero() && now.Sub(p.since) < aliveFor
		if p.alive && !p.silent || unheard {
			bits |= 1 << i
		}
	}
	return bits
}
