package integration

import (
	"fmt"
	"testing"
)

// TestPeersWithoutPeers is the test of the rig: edges that do not know each other lose conns when the
// router hashes in another way.
func TestPeersWithoutPeers(t *testing.T) {
	t.Parallel()
	f := newPeerRig(t, 3)
	for _, address := range []string{originV4, "[" + originV6 + "]"} {
		f.talker(t, fmt.Sprint(address, ":", talkPort))
	}
	for _, e := range f.edges {
		f.serve(t, e)
	}
	f.hash(t, f.edges...)
	load := newPeerLoad(t, f.client, 60)
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

// peerOptions say how to start a fleet.
type peerOptions struct {
	edges       int
	use         []int // the edges that the router sends packets to, by their numbers
	backplaneV6 bool
	bpffs       bool // each edge has one, so that it pins the steering
}

// startPeers starts origins that do not echo, and anyport on each edge, all of which know each other. It
// waits until each has heard of all others.
func startPeers(t *testing.T, o peerOptions) *peerRig {
	t.Helper()
	f := newPeerRig(t, o.edges)
	for _, address := range []string{originV4, "[" + originV6 + "]"} {
		f.talker(t, fmt.Sprint(address, ":", talkPort))
	}
	f.key, f.backplaneV6 = newPeerKey(t), o.backplaneV6
	for _, e := range f.edges {
		if o.bpffs {
			e.withBPFFS(t)
		}
		f.serve(t, e)
	}
	f.hash(t, f.only(o.use...)...)
	f.awaitPeers(t, o.edges-1)
	return f
}

// TestPeersRehash: no conn is lost while the router changes its hash.
func TestPeersRehash(t *testing.T) {
	t.Parallel()
	f := startPeers(t, peerOptions{edges: 3, use: []int{1, 2, 3}})
	load := newPeerLoad(t, f.client, soak(60, 300))
	load.churn(soak(50, 500))
	for range soak(2, 20) {
		f.rehash(t, f.edges...)
		load.settle(t)
	}
	load.expectNoneLost(t)
	f.expectTaken(t)
}
