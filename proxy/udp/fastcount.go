package udp

import (
	"net/netip"
	"time"

	"anyport/bpf/fastflow"
	"anyport/proxy/datagram"
	"anyport/proxy/flow"
)

// nextEntry describes f as the kernel may forward it from now on. Its Source is not valid if it can't be
// found out.
func (l *loop) nextEntry(f *liveFlow) fastflow.Flow {
	shared := f.Sockets.shared
	if shared == nil {
		return f.FastFlow(sourceOf(f), false)
	}
	return f.FastFlow(shared.sourceTo(f.OriginAddr(), l.fast.generation), true)
}

// entryOf is the entry that the kernel has of f, which must have one. When the route to the origin changes, a
// shared socket sends from another address; the entry keeps its Source.
func entryOf(f *liveFlow) fastflow.Flow {
	return f.FastFlow(f.FastSource(), f.Sockets.shared != nil)
}

// leaveKernel has the datagrams of f come up, and counts what the kernel has forwarded. It is called
// before f ends, or goes to another origin.
func (l *loop) leaveKernel(f *liveFlow, now time.Duration) {
	if !f.InKernel() {
		return
	}
	entry := entryOf(f)
	l.fast.kernel.Leave(entry)
	if used, ok := l.fast.kernel.Usage(entry); ok {
		l.flows.FastUsed(f, used, now)
	}
	l.fast.left = append(l.fast.left, l.flows.FastLeft(f, entry, now))
}

// countFlow counts what the kernel has forwarded of f since it was counted last, and reports whether
// that is anything.
func (l *loop) countFlow(f *liveFlow, now time.Duration) bool {
	if !f.InKernel() {
		return false
	}
	entry := entryOf(f)
	used, ok := l.fast.kernel.Usage(entry)
	return ok && l.useFast(f, entry, used, now)
}

// useFast counts what the kernel has forwarded of f, reports whether that is anything, and now and then has the
// steering program remember that f lives.
func (l *loop) useFast(f *liveFlow, entry fastflow.Flow, used fastflow.Usage, now time.Duration) bool {
	before := f.Last()
	forwarded := l.flows.FastUsed(f, used, now)
	if forwarded && f.FastQuarter(before) {
		l.remember(f, entry)
	}
	return forwarded
}

// remember has the steering program take the next datagrams of f for those of a live flow, if it would count a
// new one.
func (l *loop) remember(f *liveFlow, entry fastflow.Flow) {
	if l.flows.CountsNewFlows(f) {
		l.fast.kernel.Remember(entry)
	}
}

// countForwarded counts what the kernel has forwarded of all flows, a page of them at a time. Other
// goroutines call it before they read counters. With very many flows not each call counts: it takes a
// twentieth of the loop's time at most.
func (l *loop) countForwarded() {
	if l.fast.kernel == nil { // it is always so: the loop need not wake up
		return
	}
	var listing flow.Listing[flowSockets]
	l.orders.Do(func() {
		if now := l.now(); now >= l.fast.nextCount && l.flows.FastLen() > 0 {
			l.fast.nextCount, listing = now+countPause(l.flows.Len()), l.flows.Listing()
		}
	})
	for !listing.Done() {
		if !l.orders.Do(func() {
			now := l.now()
			for f := range l.flows.NextFlows(&listing) {
				l.countFlow(f, now)
			}
		}) {
			return
		}
	}
}

// countPause is how long counters of that many flows may be read without another count: a flow takes
// about 1 µs.
func countPause(flows int) time.Duration {
	if flows < 4096 {
		return 0
	}
	return time.Duration(flows) * 20 * time.Microsecond
}

// sourceTo is the address and port that datagrams of s to an origin leave from, in a generation of the
// kernel's entries. The socket is not connected, so the kernel chooses the address for each datagram:
// another socket asks it, once a generation, since routes may change.
func (s *sharedSocket) sourceTo(to netip.AddrPort, generation uint32) netip.AddrPort {
	if s.source.generation != generation {
		addr, err := datagram.SourceTo(s.fd, to)
		if err != nil {
			return netip.AddrPort{}
		}
		s.source.addr, s.source.generation = addr, generation
	}
	return netip.AddrPortFrom(s.source.addr, s.port)
}

// leaveFastPath has all flows come up to user space, a page of them at a time, and keeps the kernel from
// being asked again. Another goroutine calls it before another process gets the flows, which asks the
// kernel anew: an entry that only this process knows of would never be removed.
func (l *loop) leaveFastPath() {
	var listing flow.Listing[flowSockets]
	l.orders.Do(func() {
		if l.fast.paused = true; l.fast.kernel != nil {
			raise(l.fast.kernel, l.log.Logger)
			listing = l.flows.Listing()
		}
	})
	for !listing.Done() {
		if !l.orders.Do(func() {
			now := l.now()
			for f := range l.flows.NextFlows(&listing) {
				l.leaveKernel(f, now)
			}
		}) {
			return
		}
	}
}

// noteNarrowPath has the kernel asked again for the MTU of the paths to origins: an ICMP error has said
// that a datagram was too long. The program sees such errors by itself, but not of which flow they are if
// flows share a socket. A forged error costs no more than one decision a flow and second.
func (l *loop) noteNarrowPath(now time.Duration) {
	if l.fast.kernel != nil && now >= l.fast.nextRaise {
		l.fast.nextRaise = now + fastPause
		raise(l.fast.kernel, l.log.Logger)
	}
}
