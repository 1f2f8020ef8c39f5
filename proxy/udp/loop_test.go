package udp

import (
	"testing"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/route"
)

// TestLoop forges a datagram from one dst to another of the same proxy, whose origin
// answers everything: without a stop, the two would answer each other for ever.
func TestLoop(t *testing.T) {
	noLeaks(t)
	origin := newPeer(t, "127.0.0.1")
	origin.echo()
	listeners, dsts := listen(t, "127.0.0.1", "127.0.0.1")
	p := serveOn(t, Options{Listeners: listeners, Routes: live(to(origin.addr()), dsts...)}, dsts)
	check(t, unix.Sendto(listeners[0], []byte("who is there?"), 0, unixAddr(dsts[1])))
	if got := p.record(t); got.Verdict != route.Looped || got.Client != dsts[1] || got.Dst != dsts[0] {
		t.Errorf("the answer of %v ended as %+v", dsts[1], got)
	}
	p.stop()
	if ended := p.totals().Ended[config.UDP]; ended[route.Looped] != 1 || len(ended) != 2 {
		t.Errorf("ended: %v, want one flow, and one that never began", ended)
	}
}
