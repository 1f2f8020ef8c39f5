package fleet

import (
	"net/netip"
	"testing"

	"anyport/bpf"
	"anyport/steering/bpfmaps"
)

// TestAllPeersAreOthers: as many peers as there is room for give way to as many others at once.
func TestAllPeersAreOthers(t *testing.T) {
	t.Parallel()
	e := newRig(t, 1).edges[0]
	for _, first := range []string{"10.9.0.2", "10.9.0.100"} {
		o := Options{Device: "back", Local: e.local[false], Key: key, Also: key}
		for a := netip.MustParseAddr(first); len(o.Peers) < MaxPeers; a = a.Next() {
			o.Peers = append(o.Peers, a)
		}
		if err := e.fleet.Set(o); err != nil {
			t.Fatal(err)
		}
		for i, a := range o.Peers {
			var p bpf.FleetPeer
			var h bpf.FleetHeard
			var wrong uint64
			for of, m := range map[any]interface{ Lookup(key, value any) error }{&p: e.fleet.objects.peers, &h: e.fleet.objects.heard, &wrong: e.fleet.objects.wrongTags} {
				if err := m.Lookup(bpfmaps.AddrWords(a), of); err != nil {
					t.Fatalf("the programs do not know %s: %T: %v", a, of, err)
				}
			}
			if int(p.Bit) != i {
				t.Errorf("%s has bit %d, want %d", a, p.Bit, i)
			}
		}
	}
}
