package fastpath

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"anyport/bpf/fastflow"
	"anyport/steering/netnstest"
)

// TestTooLong: an ICMP error that a datagram of a flow was too long has longer ones of that direction go
// up, and nothing else.
func TestTooLong(t *testing.T) {
	since(t, 6, 1, "a test run has no device")
	netnstest.Enter(t)
	o, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	for family, f := range ends {
		for _, test := range []struct {
			name          string
			aboutClient   bool
			said, effect  int
			otherProtocol bool
		}{
			{"from the client's side", true, 1300, 1300, false},
			{"from the origin's side", false, 1300, 1300, false},
			{"less than any link has", false, 0, map[string]int{"IPv4": 68, "IPv6": 1280}[family], false},
			{"about TCP", false, 1300, 1500, true},
		} {
			t.Run(family+" "+test.name, func(t *testing.T) {
				f.Header, f.Idle = fastflow.None, time.Minute
				m := &model{generation: 1, flows: []modelFlow{{Flow: f, generation: 1, client: way{2, 1500}, origin: way{3, 1500}, id: 7}}}
				fill(t, o, m)
				run := func(a arrival) uint32 {
					t.Helper()
					verdict, err := o.Program.Run(&ebpf.RunOptions{Data: a.frame, DataOut: make([]byte, len(a.frame)+128), Context: contextOf(a)})
					if err != nil {
						t.Fatal(err)
					}
					return verdict
				}
				about := frameOf(f.Source, f.Origin, make([]byte, 1400), 64, false)[14:]
				if test.aboutClient {
					about = frameOf(f.Dst, f.Client, make([]byte, 1400), 64, false)[14:]
				}
				if test.otherProtocol {
					about[map[string]int{"IPv4": 9, "IPv6": 6}[family]] = 6
				}
				if got := run(arrival{frame: errorOf(about, test.said), device: 2}); got != passUp {
					t.Errorf("the error: verdict %d", got)
				}
				headers := map[string]int{"IPv4": 28, "IPv6": 48}[family]
				for mtu, forwarded := range map[int]bool{test.effect: true, test.effect + 1: test.effect+1 <= 1500 && test.effect == 1500} {
					to := frameOf(f.Client, f.Dst, make([]byte, mtu-headers), 64, false)
					back := frameOf(f.Origin, f.Source, make([]byte, mtu-headers), 64, false)
					lowered, other := arrival{frame: to, device: 2}, arrival{frame: back, device: 3}
					if test.aboutClient {
						lowered, other = other, lowered
					}
					if got := run(lowered) == redirect; got != forwarded {
						t.Errorf("%d bytes the way of the error: forwarded %v", mtu, got)
					}
					if mtu <= 1500 && run(other) != redirect {
						t.Errorf("%d bytes the other way: not forwarded", mtu)
					}
				}
			})
		}
	}
}

// errorOf is the frame of an ICMP error that quotes a packet.
func errorOf(packet []byte, mtu int) []byte {
	frame := make([]byte, 12)
	quoted := packet[:min(len(packet), 548)]
	if packet[0]>>4 == 4 {
		frame = append(frame, 8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0, 10, 9, 9, 9)
		frame = append(append(frame, packet[12:16]...), 3, 4, 0, 0, 0, 0)
		frame = binary.BigEndian.AppendUint16(frame, uint16(mtu))
	} else {
		frame = append(frame, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, 58, 64)
		frame = append(append(frame, make([]byte, 16)...), packet[8:24]...)
		frame = binary.BigEndian.AppendUint32(append(frame, 2, 0, 0, 0), uint32(mtu))
	}
	return append(frame, quoted...)
}
