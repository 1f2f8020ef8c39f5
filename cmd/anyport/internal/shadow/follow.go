package shadow

import (
	"net/netip"
	"time"

	"anyport/config"
	"anyport/steering/table"
)

// Today is who handles a conn or flow at present, as far as this host's answer shows.
type Today string

// What is known of it.
const (
	ByProxy   Today = "proxy"     // a transparent socket of this host: that of a proxy behind TPROXY rules
	ByHost    Today = "listener"  // an ordinary socket of this host
	BySocket  Today = "socket"    // a socket of this host, of which it could not be found out which
	Elsewhere Today = "forwarded" // another host answers, through this one
	Refused   Today = "refused"
	Silent    Today = "silent" // nothing has answered
)

// The bounds of what is followed. A client sends a SYN again after 1 s, and then 2 s later: an answer that
// takes longer than that counts as none.
const (
	mostFollowed = 1 << 16
	patience     = 3 * time.Second
	flowIdle     = time.Minute // a UDP flow that is silent for this long has ended
)

// tuple identifies a conn or flow.
type tuple struct {
	protocol    config.Protocol
	client, dst netip.AddrPort
}

// attempt is a conn or flow that the client has begun.
type attempt struct {
	tuple
	decision table.Decision
	begun    time.Time
	last     time.Time // of the last packet: only of UDP
	judged   bool      // counted already; a UDP flow stays, so that its next datagrams begin no other one
}

// follower holds the attempts without an answer, and the live UDP flows. It has no clock and does no I/O.
type follower struct {
	attempts map[tuple]*attempt
	answered []*attempt // by a socket of this host: which one is to be found out
	count    *counts
	omitted  uint64 // attempts beyond mostFollowed
}

func newFollower(count *counts) *follower {
	return &follower{attempts: map[tuple]*attempt{}, count: count}
}

// way is where a packet was seen.
type way uint8

const (
	incoming way = iota
	outgoing
	loopback // from this host to itself
)

// see takes one packet. What this host sends to others begins nothing here; an answer that comes in is
// another host's, and this one only forwards it.
func (f *follower) see(t *table.Table, p packet, w way, now time.Time) {
	a := f.attempts[tuple{p.protocol, p.to, p.from}] // whose answer it may be
	switch {
	case a != nil && p.kind == refusal:
		f.judge(a, Refused)
	case a != nil && (p.kind == synACK || p.kind == datagram):
		a.last = now
		f.accepted(a, w != incoming)
	case w != outgoing && (p.kind == syn || p.kind == datagram):
		f.begin(t, tuple{p.protocol, p.from, p.to}, now)
	}
}

// begin notes an attempt, unless it is one more packet of one that is followed.
func (f *follower) begin(t *table.Table, id tuple, now time.Time) {
	if a := f.attempts[id]; a != nil {
		a.last = now
		return
	}
	d := t.DecideAt(id.protocol, id.dst, id.client.Addr(), now)
	if !d.Prefix.IsValid() || d.Route == nil && d.Verdict == table.Steer { // not served; an egress prefix
		return
	}
	if len(f.attempts) >= mostFollowed {
		f.omitted++
		return
	}
	f.attempts[id] = &attempt{tuple: id, decision: d, begun: now, last: now}
	f.count.seen(d)
}

// accepted notes an answer.
func (f *follower) accepted(a *attempt, own bool) {
	switch {
	case a.judged:
	case !own:
		f.judge(a, Elsewhere)
	default:
		f.settle(a)
		f.answered = append(f.answered, a)
	}
}

// settle ends the wait for an answer. A conn is not followed any more: one more SYN from the same port
// begins another.
func (f *follower) settle(a *attempt) {
	a.judged = true
	if a.protocol == config.TCP {
		delete(f.attempts, a.tuple)
	}
}

// judge counts who handles it today.
func (f *follower) judge(a *attempt, today Today) {
	if a.judged {
		return
	}
	f.settle(a)
	f.count.judged(a.tuple, a.decision, today)
}

// tick ends the waits that have lasted too long and the flows that have ended. It returns what a socket of
// this host has answered since: the caller finds out which one, and counts it.
func (f *follower) tick(now time.Time) (answered []*attempt) {
	for id, a := range f.attempts {
		if !a.judged && now.Sub(a.begun) >= patience {
			f.judge(a, Silent)
		}
		if a.judged && now.Sub(a.last) >= flowIdle {
			delete(f.attempts, id)
		}
	}
	answered, f.answered = f.answered, nil
	return answered
}
