package fleet

import (
	"testing"

	"anyport/bpf"
)

// TestSuccessorWithoutPeers: a process that goes on with what another one had, and has no peers itself, detaches it.
func TestSuccessorWithoutPeers(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	r.join(false)
	r.eventually("edge 2 asks", func() bool { return r.edges[1].fleet.Status().Peers[0].Alive })
	next := r.edges[1].successor(t)
	if len(next.objects.Links()) == 0 && len(next.objects.hooks()) == 0 {
		t.Fatal("nothing is attached")
	}
	if err := r.edges[1].fleet.Release(); err != nil {
		t.Fatal(err)
	}
	if err := next.Set(Options{}); err != nil {
		t.Fatal(err)
	}
	var b bpf.FleetBackplane
	if err := next.objects.backplane.Lookup(uint32(0), &b); err != nil || b != (bpf.FleetBackplane{}) {
		t.Errorf("the programs still know the backplane: %+v, %v", b, err)
	}
	var peer [4]uint32
	var p bpf.FleetPeer
	if next.objects.peers.Iterate().Next(&peer, &p) {
		t.Errorf("and a peer: %+v", p)
	}
	if all := next.objects.Links(); len(all) > 0 {
		t.Errorf("still attached: %v", all)
	}
}
