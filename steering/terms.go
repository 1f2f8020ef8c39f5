package steering

import (
	"time"

	"anyport/config"
)

// terms are what a route has of the kernel, but for its clients.
type terms struct {
	verdict   Verdict       // for the clients that are admitted
	denied    Verdict       // what the others get
	newConns  time.Duration // from one to the next, here and below; 0: no limit
	datagrams time.Duration // to each dst address
	flowIdle  time.Duration // without a datagram, then a flow has ended
	mirrors   bool          // refuses what is in the map of closed services
}

func newTerms(r *config.Route) terms {
	return terms{
		verdict:   verdict(r.Action),
		denied:    verdict(r.Denied),
		newConns:  spacing(r.NewConnsPerSecond),
		datagrams: spacing(r.DatagramsPerSecond),
		flowIdle:  r.LongestFlowIdle(),
		mirrors:   r.MirrorClosed,
	}
}

// spacing is 0 where there is no limit.
func spacing(perSecond int) time.Duration {
	if perSecond == 0 {
		return 0
	}
	return time.Second / time.Duration(perSecond)
}

func (b *binding) drops() bool {
	return b.verdict == Drop || b.sources != nil && b.denied == Drop || b.datagrams > 0
}

// How much of what a limited route has admitted the kernel remembers: handshakes of a
// few seconds, and flows as long as they live.
const (
	handshakeSeconds = 10
	mostHandshakes   = 1 << 16
	usualFlows       = 1 << 16 // of a route without max_flows
	mostFlows        = 1 << 18
)

// admissions is how many conns and flows the kernel should be able to remember, so that
// none of them is taken for a new one.
func (t *Table) admissions() (n int) {
	for _, b := range t.bindings {
		if b.newConns > 0 {
			n += admissions(b.route)
		}
	}
	return n
}

func admissions(r *config.Route) (n int) {
	if r.Takes(config.TCP) {
		n += min(r.NewConnsPerSecond*handshakeSeconds, mostHandshakes)
	}
	switch {
	case !r.Takes(config.UDP):
	case r.MaxFlows > 0:
		n += min(r.MaxFlows, mostFlows)
	default:
		n += usualFlows
	}
	return n
}
