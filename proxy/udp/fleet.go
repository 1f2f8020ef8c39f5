package udp

import (
	"net/netip"
	"time"

	"anyport/proxy/flow"
)

// Fleet is the other hosts that serve the same prefixes: a flow of theirs may send its datagrams here
// when routers hash in another way. Its methods are safe for concurrent use, and never wait. Addresses have
// no zone.
type Fleet interface {
	// Show has this host say that it has a flow, when another one asks; Hide ends that.
	Show(client, dst netip.AddrPort)
	Hide(client, dst netip.AddrPort)
	// Seek asks who has the flow of a datagram. lasting: it looks like one from the middle of a flow, which
	// may be without a datagram for idle. If it is asked, answered is called at most once, on another
	// goroutine, and the caller owes a Found. found: it is known that another host has the flow. With
	// neither, none has it.
	Seek(client, dst netip.AddrPort, idle time.Duration, lasting bool, answered func()) (asked, found bool)
	// Found ends the question, and reports whether another host has the flow.
	Found(client, dst netip.AddrPort) bool
	// Send has the host that was found take a datagram.
	Send(client, dst netip.AddrPort, tos uint8, payload []byte)
}

// join has the loop know a fleet, which learns of the flows that there are.
func (l *loop) join(fleet Fleet) {
	l.seeking.fleet = fleet
	for f := range l.flows.All {
		l.show(f)
	}
}

// show tells the fleet of a flow that has more than one datagram: then the next one may arrive at another
// host. Most flows of DNS have one, and cost nothing.
func (l *loop) show(f *liveFlow) {
	if l.seeking.fleet == nil || f.Sockets.shown || !flow.IsOwn(f.Key) {
		return
	}
	f.Sockets.shown = true
	l.seeking.fleet.Show(f.Client(), f.Dst())
}

// hide is the opposite of show.
func (l *loop) hide(f *liveFlow) {
	if f.Sockets.shown {
		l.seeking.fleet.Hide(f.Client(), f.Dst())
	}
}
