package integration

import (
	"testing"
	"time"
)

// TestPeersUDPDrain: the router moves the flows of a host that drains, and those of the others when the drain is
// undone. The origin sees all of them from where they came before, long after a host has come or gone. Later
// the hosts do not ask about ordinary flows any more.
func TestPeersUDPDrain(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	const soon, late = 4443, 4444
	f := startUDPPeers(t, 3, soon, late, false)
	f.hash(t, f.edges...)
	for tries := 0; ; tries++ {
		f.awaitSettled(t)
		flows := f.openFlows(t, 40, soon, ordinary)
		moved := askAllFlows(t, flows, ordinary, 2)
		f.drain(t, 1)
		f.hash(t, f.only(2, 3)...)
		moved += askAllFlows(t, flows, ordinary, 5)
		f.drain(t, 1, "--undo")
		flows = append(flows, f.openFlows(t, 40, soon, ordinary)...)
		moved += askAllFlows(t, flows, ordinary, 2)
		f.hash(t, f.edges...)
		moved += askAllFlows(t, flows, ordinary, 5)
		if slowest := slowestOf(flows); slowest >= peerIdle/2 && tries < 5 {
			t.Logf("a flow was quiet for %v: once more", slowest)
			continue
		}
		if moved > 0 {
			t.Errorf("the origin sees %d of %d flows from another source", moved, len(flows))
		}
		break
	}
	f.expectTaken(t)
	f.awaitSettled(t)
	f.askedAbout(t, 0, func() { f.openFlows(t, 20, soon, ordinary) })
}

// drain gives an edge the order.
func (f *peerRig) drain(t *testing.T, edge int, args ...string) {
	t.Helper()
	if got := anyport(t, append([]string{"drain", "--socket", f.edges[edge-1].proxy.socket}, args...)...); got.status != 0 {
		t.Fatalf("drain %v: %+v", args, got)
	}
}

// TestPeersUDPWithdrawn: a host that ceases to announce a prefix since no origin of it is up, or announces it again,
// has all hosts ask about flows that they do not know, because its routers will send them elsewhere.
func TestPeersUDPWithdrawn(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	const soon, late = 4443, 4444
	f := newPeerRig(t, 2)
	f.countingOrigin(t, soon)
	f.key, f.routes = newPeerKey(t), "[announce]\ntable = 179\n"+soonAndLate(soon, late)+
		"[route.failing]\nprotocol = \"tcp\"\nprefixes = [\"203.0.113.0/24\"]\norigins = [\"10.0.1.9\"]\non_all_down = \"refuse\"\n"
	for _, e := range f.edges {
		f.serve(t, e)
	}
	f.hash(t, f.edges[1])
	f.awaitPeers(t, 1)
	for _, state := range []string{"down", "ready"} {
		f.awaitSettled(t)
		f.askedAbout(t, 0, func() { f.openFlows(t, 20, soon, ordinary) })
		first := f.edges[0].proxy
		before := first.status(t).Announce.Prefixes["announced"]
		if got := anyport(t, "origin", state, "failing/10.0.1.9", "--socket", first.socket); got.status != 0 {
			t.Fatalf("%+v", got)
		}
		eventually(t, "another number of prefixes is announced", func() bool {
			return first.status(t).Announce.Prefixes["announced"] != before
		})
		f.askedAbout(t, 20, func() { f.openFlows(t, 20, soon, ordinary) })
	}
}

// TestPeersUDPUpgrade: a new process goes on asking about ordinary flows until the same instant as the one before.
func TestPeersUDPUpgrade(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	const soon, late = 4443, 4444
	f := startUDPPeers(t, 2, soon, late, false)
	flows := f.openFlows(t, 20, late, ordinary)
	moved := askAllFlows(t, flows, ordinary, 2)
	asker := f.edges[1]
	before := asker.proxy.status(t).Peers.Changed
	processes := newFamily(t, asker.proxy)
	for range 2 {
		processes.upgrade(t)
	}
	f.hash(t, asker)
	moved += askAllFlows(t, flows, ordinary, 5)
	if moved > 0 {
		t.Errorf("the origin sees %d of %d flows from another source", moved, len(flows))
	}
	f.expectTaken(t)
	if after := asker.proxy.status(t).Peers.Changed; after == nil || before == nil || after.Sub(*before).Abs() > sameInstant {
		t.Errorf("a peer has come at %v, after the upgrades at %v", before, after)
	}
}

// sameInstant is how much two processes may differ on an instant that each tells by its own clocks.
const sameInstant = time.Second
