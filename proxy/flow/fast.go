package flow

import (
	"net/netip"
	"time"

	"anyport/bpf/fastflow"
	"anyport/config"
	"anyport/proxy/origin"
	"anyport/proxy/route"
)

// fast is what the table keeps of a flow that the kernel was asked to forward by itself: the fast path.
// Only flows that have shown themselves have one, so that a question and its answer cost nothing.
type fast struct {
	counted    [2]fastflow.Count // by direction: what the kernel has forwarded and the flow has counted
	generation uint32            // of the kernel's entries, when it was asked
	reason     route.FastReason  // why it does not; FastForwarded: it has an entry
	path       route.Path        // who has forwarded its datagrams until now
	sourcePort uint16            // the source of the kernel's entry: the next one may have another, where routes have
	source     [16]byte          // changed. It is not a netip.AddrPort, so that the whole takes 64 bytes
	again      time.Duration     // when to ask again, should a datagram come up by then
}

// fastPatience is how long a datagram of a flow that the kernel forwards, or has refused, may come up to
// user space before the kernel is asked again. Some always come up: fragments, for instance.
const fastPatience = time.Second

// fastProof is how many datagrams of the client begin the fast path of a flow without
// anti_amplification, which need not wait for its client to be validated.
const fastProof = 4

// FastDue reports whether the kernel has to be asked to forward f, whose datagram has come up to user
// space: because it never was, because its entries are of an older generation and so dead, or because
// the last answer is fastPatience old. It is called for each datagram.
func (f *Flow[S]) FastDue(generation uint32, now time.Duration) bool {
	if f.fast != nil {
		return f.fast.generation != generation || now >= f.fast.again
	}
	return f.stage == Validated || f.stage == Answered && f.mayGoFast() == route.FastForwarded
}

// FastFlow describes f to the kernel. source is where its datagrams to the origin leave from; shared
// says whether those of other flows do, too.
func (f *Flow[S]) FastFlow(source netip.AddrPort, shared bool) fastflow.Flow {
	out := fastflow.Flow{
		Client: f.Client(), Dst: f.Dst(), Source: source, Origin: f.OriginAddr(),
		SharesSource: shared, Idle: f.Route.FlowIdle(f.Key.Dst.Port),
	}
	switch {
	case f.spp:
		out.Header = fastflow.SPP
	case f.HeaderSize() > 0:
		out.Header = fastflow.V2
	}
	return out
}

// NoteFastSource notes where the datagrams to the origin leave from by the kernel's entry of f.
func (f *Flow[S]) NoteFastSource(source netip.AddrPort) {
	f.fast.source, f.fast.sourcePort = source.Addr().As16(), source.Port()
}

// FastSource is where they leave from by the entry, which the kernel must have.
func (f *Flow[S]) FastSource() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(f.fast.source).Unmap(), f.fast.sourcePort)
}

// FastUntil is until when the kernel may forward f without user space; zero: there is no end. A process
// that is stopped or dead can't end the flows of a route whose hours are over.
func (f *Flow[S]) FastUntil(now time.Time) (until time.Time) {
	if f.Route.OnInactive == config.CloseConns {
		until, _ = f.Route.Active.Next(now)
	}
	return until
}

// InKernel reports whether the kernel has an entry of f, alive or dead.
func (f *Flow[S]) InKernel() bool { return f.fast != nil && f.fast.reason == route.FastForwarded }

// carriedBy is who has forwarded the flow's datagrams until now.
func (f *Flow[S]) carriedBy() route.Path {
	if f.fast == nil {
		return route.InUser
	}
	return f.fast.path
}

// passUp notes that user space has forwarded a datagram.
func (f *fast) passUp() {
	if f.path == route.InKernel {
		f.path = route.OnBoth
	}
}

// path is which way the flow's datagrams go, and why.
func (f *Flow[S]) path(generation uint32) route.FastReason {
	switch {
	case generation == 0:
		return route.FastUnavailable
	case f.fast == nil:
		if shown := f.mayGoFast(); shown != route.FastForwarded {
			return shown
		}
		return route.FastWaiting
	case f.InKernel() && f.fast.generation != generation:
		return route.FastWaiting
	}
	return f.fast.reason
}

// FastLen is how many flows have an entry of the kernel, alive or dead.
func (t *Table[S]) FastLen() int { return t.fast }

// addFast notes that f has an entry, or has none any more.
func (t *Table[S]) addFast(f *Flow[S], n int) {
	t.fast += n
	f.Route.Stats.AddFast(int64(n))
}

// FastAsked notes the answer of the kernel, or of FastReason, in a generation of the kernel's entries. It
// was asked because a datagram has come up. The entry of a flow that is forwarded counts from zero.
func (t *Table[S]) FastAsked(f *Flow[S], generation uint32, reason route.FastReason, now time.Duration) {
	was := f.fast
	if reason != route.FastForwarded && (was == nil || was.reason != reason || was.generation != generation) {
		f.Counters.FastRefused(reason)
	}
	if now := reason == route.FastForwarded; now != f.InKernel() {
		t.addFast(f, map[bool]int{true: 1, false: -1}[now])
	}
	if was == nil {
		f.fast = &fast{path: route.InUser}
	}
	f.fast.passUp()
	*f.fast = fast{generation: generation, reason: reason, again: now + fastPatience, path: f.fast.path}
}

// FastStays notes that a datagram of f came up to user space though the kernel has an entry, which was
// used so long ago. It reports whether the entry can stay: that is not so if it is dead, or if the
// kernel is about to find the flow idle, since the entry has not seen this datagram.
func (f *Flow[S]) FastStays(generation uint32, quiet, now time.Duration) bool {
	f.fast.passUp()
	if f.fast.generation != generation || quiet > f.Route.FlowIdle(f.Key.Dst.Port)/2 {
		return false
	}
	f.fast.again = now + fastPatience
	return true
}

// FastUsed counts what the kernel has forwarded of f since the last call, and reports whether that is
// anything. The flow is as idle as the kernel says.
func (t *Table[S]) FastUsed(f *Flow[S], u fastflow.Usage, now time.Duration) bool {
	forwarded := countFast(&f.fast.counted, u, f.Counters, f.Origin)
	if forwarded == [2]fastflow.Count{} {
		return false
	}
	if f.fast.path == route.InUser {
		f.fast.path = route.OnBoth
	}
	there, back := forwarded[route.ToOrigin], forwarded[route.ToClient]
	f.toOrigin, f.toClient = f.toOrigin+there.Bytes, f.toClient+back.Bytes
	f.packets[route.ToOrigin] += there.Packets
	f.packets[route.ToClient] += back.Packets
	f.last = max(f.last, now-u.Quiet)
	if back.Packets > 0 {
		t.noteAnswer(f, now)
	}
	t.creditExchanges(f, min(there.Packets, back.Packets))
	return true
}

// creditExchanges validates the client of a flow that went to the kernel before: there, nobody sees
// which datagram follows which.
func (t *Table[S]) creditExchanges(f *Flow[S], most uint64) {
	for range min(most, ExchangesToValidate) {
		f.validation.originSent()
		f.validation.clientSent()
	}
	if f.stage == Answered && f.validation.done() {
		t.evictions.validated(f)
	}
}

// countFast counts in c and o what u says beyond counted, and returns that.
func countFast(counted *[2]fastflow.Count, u fastflow.Usage, c *route.Counters, o *origin.Origin) (more [2]fastflow.Count) {
	for d, now := range [2]fastflow.Count{route.ToOrigin: u.ToOrigin, route.ToClient: u.ToClient} {
		before, direction := &counted[d], route.Direction(d)
		if now == *before {
			continue
		}
		more[d] = fastflow.Count{Packets: max(now.Packets, before.Packets) - before.Packets, Bytes: max(now.Bytes, before.Bytes) - before.Bytes}
		*before = now
		c.Datagrams(direction, route.Forwarded, int(more[d].Packets))
		c.FastDatagrams(direction, more[d].Packets)
		c.Bytes(config.UDP, direction, int(more[d].Bytes))
		o.Carry(d, int(more[d].Bytes))
	}
	return more
}

// FastLeft notes that the kernel is to forward f no more, and returns what is left to do: to remove its
// entry a little later, since packets may be on their way through it, and to count these. The kernel is
// not asked again before fastPatience has passed.
func (t *Table[S]) FastLeft(f *Flow[S], entry fastflow.Flow, now time.Duration) FastLeft {
	left := FastLeft{Entry: entry, counted: f.fast.counted, counters: f.Counters, origin: f.Origin}
	t.addFast(f, -1)
	*f.fast = fast{generation: f.fast.generation, reason: route.FastWaiting, again: now + fastPatience, path: f.fast.path}
	return left
}

// FastLeft is the kernel's entry of a flow that has left it, or has ended.
type FastLeft struct {
	Entry    fastflow.Flow
	counted  [2]fastflow.Count
	counters *route.Counters
	origin   *origin.Origin
}

// Removed counts what the entry had forwarded when it was removed, and the flow has not counted.
func (l *FastLeft) Removed(u fastflow.Usage) { countFast(&l.counted, u, l.counters, l.origin) }
