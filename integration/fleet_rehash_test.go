package integration

import (
	"fmt"
	"testing"
)

// TestFleetWithoutPeers is the test of the rig: edges that do not know each other lose conns when the
// router hashes in another way.
func TestFleetWithoutPeers(t *testing.T) {
	t.Parallel()
	f := newFleetRig(t, 3)
	for _, address := range []string{originV4, "[" + originV6 + "]"} {
		f.talker(t, fmt.Sprint(address, ":", talkPort))
	}
	for _, e := range f.edges {
		f.serve(t, e)
	}
	f.hash(t, f.edges...)
	load := newFleetLoad(t, f.client, 60)
	load.churn(50)
	load.settle(t)
	if lost := load.lost(); len(lost) > 0 {
		t.Fatalf("%d conns are lost before the router has changed anything: %s", len(lost), lost[0])
	}
	f.rehash(t, f.edges...)
	load.settle(t)
	lost := len(load.end(t))
	t.Logf("%d of %d conns lost", lost, len(load.long))
	if lost < 10 {
		t.Errorf("%d of %d conns were lost, want at least 10: the rig does not move conns", lost, len(load.long))
	}
}

// fleetOptions say how to start a fleet.
type fleetOptions struct {
	edges       int
	use         []int // the edges that the router sends packets to, by their numbers
	backplaneV6 bool
}

// startFleet starts origins that do not echo, and anyport on each edge, all of which know each other. It
// waits until each has heard of all others.
func startFleet(t *testing.T, o fleetOptions) *fleetRig {
	t.Helper()
	f := newFleetRig(t, o.edges)
	for _, address := range []string{originV4, "[" + originV6 + "]"} {
		f.talker(t, fmt.Sprint(address, ":", talkPort))
	}
	f.key, f.backplaneV6 = newFleetKey(t), o.backplaneV6
	for _, e := range f.edges {
		f.serve(t, e)
	}
	f.hash(t, f.only(o.use...)...)
	f.awaitPeers(t, o.edges-1)
	return f
}

// TestFleetRehash: no conn is lost while the router changes its hash.
func TestFleetRehash(t *testing.T) {
	t.Parallel()
	f := startFleet(t, fleetOptions{edges: 3, use: []int{1, 2, 3}})
	load := newFleetLoad(t, f.client, soak(60, 300))
	load.churn(soak(50, 500))
	for range soak(2, 20) {
		f.rehash(t, f.edges...)
		load.settle(t)
	}
	load.expectNoneLost(t)
	f.expectTaken(t)
}
