package table

import (
	"time"

	"anyport/config"
)

// Rules are what the kernel does for a route, except for its lists of clients.
type Rules struct {
	Verdict         Verdict       // for the clients that are admitted
	Denied          Verdict       // what the others get
	Away            Verdict       // with Socket: while the service has no such socket
	Service         Service       // with Socket
	NewConnSpacing  time.Duration // from one to the next, here and below; 0: no limit
	DatagramSpacing time.Duration // to each dst address
	FlowIdle        time.Duration // without a datagram, then a flow has ended
	NeedsDoor       bool          // admits only clients that have knocked
	Doorbell        bool          // not a route's: datagrams that knock
	MirrorsClosed   bool          // refuses what is in the map of closed services
	Inactive        Verdict       // what clients get while the route is not in force
	KeepsFlows      bool          // the kernel goes on to steer datagrams then: the proxy refuses new flows
}

func newRules(r *config.Route) Rules {
	rules := Rules{
		Verdict:         VerdictOf(r.Action),
		Denied:          VerdictOf(r.Denied),
		NewConnSpacing:  spacing(r.NewConnsPerSecond),
		DatagramSpacing: spacing(r.DatagramsPerSecond),
		FlowIdle:        r.LongestFlowIdle(),
		NeedsDoor:       r.Knock.Needed(),
		MirrorsClosed:   r.MirrorClosed,
		Inactive:        VerdictOf(r.Inactive),
		KeepsFlows:      keepsFlows(r),
	}
	if r.Action == config.Socket {
		rules.Service, rules.Away = ServiceOf(r), AwayOf(r)
	}
	return rules
}

// AwayOf is what becomes of the packets of a route while its service has no socket for them.
func AwayOf(r *config.Route) Verdict {
	if r.Forwards() {
		return Steer
	}
	return Refuse
}

// spacing is 0 where there is no limit.
func spacing(perSecond int) time.Duration {
	if perSecond == 0 {
		return 0
	}
	return time.Second / time.Duration(perSecond)
}

// mayDrop: a datagram over its limit is dropped too, whatever the verdict.
func (b *Binding) mayDrop() bool {
	return b.Verdict == Drop || (b.Clients != nil || b.NeedsDoor) && b.Denied == Drop || b.Inactive == Drop || b.DatagramSpacing > 0 || b.Doorbell
}

// How much of what a limited route has admitted the kernel remembers: handshakes of a
// few seconds, and flows as long as they live.
const (
	handshakeSeconds = 10
	mostHandshakes   = 1 << 16
	usualFlows       = 1 << 16 // of a route without max_flows
	mostFlows        = 1 << 18
)

// Admissions is how many conns and flows the kernel should be able to remember, so that
// none of them is taken for a new one.
func (t *Table) Admissions() (n int) {
	for _, b := range t.bindings {
		if b.Route != nil && (b.NewConnSpacing > 0 || b.NeedsDoor && b.Route.Takes(config.UDP)) {
			n += admissions(b.Route)
		}
	}
	return n
}

// admissions estimates for one route: handshakes of some seconds, and all flows at once.
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
