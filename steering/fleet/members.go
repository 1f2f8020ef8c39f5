package fleet

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

const (
	// helloInterval is the time between two greetings of one peer.
	helloInterval = time.Second
	// aliveFor is how long after its last greeting a peer is asked. Longer than a process that lives is
	// ever without the CPU: what is lost by asking a dead peer is less than by not asking one that lives.
	aliveFor = 10 * time.Second
)

// members are the peers, and what was heard of them. Its methods do no I/O. The mutex of Fleet guards it.
type members struct {
	all     map[netip.Addr]*member
	changed time.Time // when one came or went last, or one or this host moved
	moved   time.Time // when this host did; zero: never
}

// sameGreeted is how much greetings about one instant may differ: each takes another time to arrive.
const sameGreeted = 100 * time.Millisecond

// member is one peer.
type member struct {
	since time.Time // when it became one
	alive bool
	heard time.Time // its last greeting, by this host's clock; zero: none
	clock time.Time // and by its own
	rtt   time.Duration
	ahead time.Duration
	mtu   int
	way   way    // the last one that was known
	off   string // why it is not known now

	ear           ear
	quiet, silent bool // see silence.go
}

// way is how wrapped packets leave for a peer.
type way struct{ mac [6]byte }

func (w way) known() bool { return w != way{} }

// set makes the members those of peers, and keeps what is known of them.
func (m *members) set(peers []netip.Addr, now time.Time) {
	before := m.all
	m.all = make(map[netip.Addr]*member, len(peers))
	for _, p := range peers {
		if m.all[p] = before[p]; m.all[p] == nil {
			m.all[p] = &member{since: now}
		}
		delete(before, p)
	}
	for _, left := range before {
		if left.alive {
			m.changed = now
		}
	}
}

// adopt takes a peer for alive that another process of this host has asked until now.
func (m *members) adopt(peer netip.Addr, w way, now time.Time) {
	if p := m.all[peer]; p != nil {
		p.alive, p.heard, p.way = true, now, w
	}
}

// move notes that routers will send packets elsewhere because of this host.
func (m *members) move(now time.Time) { m.moved, m.changed = now, now }

// changedAt is when there was a change last, by the monotonic clock, which reads mono at now; 0: never.
func (m *members) changedAt(now time.Time, mono time.Duration) time.Duration {
	if m.changed.IsZero() {
		return 0
	}
	return max(1, mono-now.Sub(m.changed))
}

// remember notes what changedAt has said in another process of this host.
func (m *members) remember(at time.Duration, now time.Time, mono time.Duration) {
	if at > 0 && at <= mono {
		m.change(now.Add(at - mono))
	}
}

// change notes that there was a reason for routers to send packets elsewhere, unless a later one is known.
func (m *members) change(at time.Time) {
	if at.Sub(m.changed) > sameGreeted {
		m.changed = at
	}
}

// hello notes a greeting. answer: one of the two did not know of the other, which is to end at once.
func (m *members) hello(from netip.Addr, g greeting, now time.Time) (answer bool) {
	p := m.all[from]
	if p == nil {
		return false
	}
	if !p.alive {
		p.alive, m.changed, answer = true, now, true
	}
	p.heard, p.clock, p.mtu = now, g.clock, g.mtu
	if g.moved > 0 {
		m.change(now.Add(-g.moved))
	}
	if rtt := now.Sub(g.heard) - g.held; !g.heard.IsZero() && rtt >= 0 && rtt < aliveFor { // else a clock was set
		p.rtt = max(rtt, 1)
		p.ahead = g.clock.Sub(now.Add(-rtt / 2))
	}
	return answer || g.heard.IsZero()
}

// bye notes that a peer stops. One that is older than the last greeting was recorded and sent again.
func (m *members) bye(from netip.Addr, g greeting, now time.Time) (news bool) {
	p := m.all[from]
	if p == nil || !p.alive || g.clock.Before(p.clock) {
		return false
	}
	p.alive, m.changed = false, now
	return true
}

// expire notes who was not heard for long.
func (m *members) expire(now time.Time) (news bool) {
	for _, p := range m.all {
		if p.alive && now.Sub(p.heard) > aliveFor {
			p.alive, m.changed, news = false, now, true
		}
	}
	return news
}

// greeting is what to say to a peer.
func (m *members) greeting(to netip.Addr, mtu int, now time.Time) greeting {
	g := greeting{clock: now, mtu: mtu}
	if p := m.all[to]; p != nil && p.alive {
		g.heard, g.held = p.clock, now.Sub(p.heard)
	}
	if !m.moved.IsZero() {
		g.moved = max(1, now.Sub(m.moved))
	}
	return g
}

// addrs are sorted.
func (m *members) addrs() []netip.Addr {
	return slices.SortedFunc(maps.Keys(m.all), netip.Addr.Compare)
}

// asked are the peers that get questions, sorted: those that are alive and have had a way.
func (m *members) asked() []netip.Addr {
	return slices.DeleteFunc(m.addrs(), func(a netip.Addr) bool { return !m.isAsked(a) })
}

// isAsked reports whether a peer gets questions.
func (m *members) isAsked(a netip.Addr) bool {
	p := m.all[a]
	return p != nil && p.alive && p.way.known()
}

func (m *members) status() (all []Peer) {
	for _, a := range m.addrs() {
		p := m.all[a]
		off := p.off
		if !p.alive {
			off = ""
		}
		all = append(all, Peer{
			Addr: a, Alive: p.alive && off == "", Off: off, LastHello: p.heard, RTT: p.rtt, MTU: p.mtu, Clock: p.ahead,
		})
	}
	return all
}
