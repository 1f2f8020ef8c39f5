package text

import (
	"strings"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// TestPeers: what costs conns is in capitals.
func TestPeers(t *testing.T) {
	heard := time.Now()
	s := &admin.PeersStatus{
		Way: "clsact", Device: "back0", Address: "10.9.0.1", MTU: 1500, Segment: 1396,
		Devices: []admin.PeerDevice{{Name: "router0"}, {Name: "tun0", Off: "its packets have no Ethernet header"}},
		Peers: []admin.PeerStatus{
			{Address: "10.9.0.2", Alive: true, RTTSeconds: 0.00012, MTU: 1500, Clock: -1.5, HeardAt: &heard},
			{Address: "10.9.0.3", HeardAt: &heard}, {Address: "10.9.0.4", WrongTags: 3},
		},
		Packets: map[string]uint64{"asked": 7, "straight": 6, "taken": 5, "shed": 3, "too_long": 2, "unsent": 1},
	}
	line, table := Peers(s), strings.Join(peerTable(s).Lines(lineWidth), "\n")
	for _, want := range []string{"1 of 3 alive, by back0 (10.9.0.1, MTU 1500, clsact)", "at most 1396 bytes", "7 packets asked, 6 straight, 5 taken", "6 LOST (3 too many, 2 too long, 1 unsent)", "not for packets by tun0"} {
		if !strings.Contains(line, want) {
			t.Errorf("%q is not in %s", want, line)
		}
	}
	for _, want := range []string{"120µs", "-1.500s", "SILENT since", "NEVER HEARD, has ANOTHER KEY"} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is not in\n%s", want, table)
		}
	}
	s.Off = "no device"
	if line := Peers(s); !strings.Contains(line, "NOT ASKED") || !strings.Contains(line, "no device") {
		t.Error(line)
	}
	if len(peerTable(nil).Rows) != 0 {
		t.Error("there are rows without peers")
	}
}
