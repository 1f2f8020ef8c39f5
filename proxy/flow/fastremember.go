package flow

import (
	"time"

	"anyport/config"
)

// The steering program remembers the flows that it has admitted of a route with new_conns_per_second, each for its
// idle time: their datagrams take no token again. It sees none that the kernel forwards, so it has to be told that
// such a flow lives, or it would refuse it when its datagrams come to user space again.

// Last is when f had its last datagram, in either direction, as far as it is known.
func (f *Flow[S]) Last() time.Duration { return f.last }

// FastQuarter reports whether a quarter of the idle time has ended since a moment, and before the last datagram.
func (f *Flow[S]) FastQuarter(since time.Duration) bool {
	quarter := max(1, f.Route.FlowIdle(f.Key.Dst.Port)/4)
	return since/quarter != f.last/quarter
}

// CountsNewFlows reports whether the steering program counts the new flows to f's dst.
func (t *Table[S]) CountsNewFlows(f *Flow[S]) bool {
	r := t.opt.Routes.Set().Lookup(config.UDP, f.Key.ReplyTo().AddrPort().Addr(), f.Dst())
	return r != nil && r.NewConnsPerSecond > 0
}
