package fleet

import (
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"anyport/bpf"
)

// BenchmarkProgram says what the programs cost a packet that they do not wrap or unwrap, and an answer to one of
// a conn that is not here. A host without peers has no program attached.
func BenchmarkProgram(b *testing.B) {
	rig := newBench(b)
	for _, test := range []struct {
		name    string
		program *ebpf.Program
		tuple   tuple
		flags   byte
	}{
		{"ask IPv4 here", rig.objects.AskPeers, rig.here[0], 16},
		{"ask IPv6 here", rig.objects.AskPeers, rig.here[4], 16},
		{"ask IPv4 SYN", rig.objects.AskPeers, rig.here[0], 2},
		{"ask IPv4 not served", rig.objects.AskPeers, rig.here[8], 16},
		{"take IPv4 not wrapped", rig.objects.TakeAsked, rig.here[0], 16},
	} {
		b.Run(test.name, func(b *testing.B) {
			m := benchModel(rig)
			rig.fill(m)
			v4 := test.tuple.client.Addr().Is4()
			rig.benchmark(b, test.program, append(ethernet(v4), tcpPacket(test.tuple.client, test.tuple.dst, test.flags, nil)...), 1000)
		})
	}
	b.Run("take IPv4 foreign", func(b *testing.B) {
		m := benchModel(rig)
		rig.fill(m)
		c := strangers()[0]
		packet := tcpPacket(c.client, c.dst, 16, nil)
		p, _ := parse(packet, true)
		rig.benchmark(b, rig.objects.TakeAsked, wrap(packet, bpf.FleetMessageASK, p, m.asked[0], m.local, [6]byte{}, [6]byte{}), 1) // the second run of one would be over the answer
	})
}

func (r *bench) benchmark(b *testing.B, p *ebpf.Program, frame []byte, repeat int) {
	var spent time.Duration
	runs := 0
	for b.Loop() {
		_, each, err := p.Benchmark(frame, repeat, nil)
		if err != nil {
			b.Fatal(err)
		}
		spent += each
		runs++
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(runs), "ns/packet")
}

// benchModel is a state with two peers.
func benchModel(b *bench) *model {
	local := netip.MustParseAddr("10.9.0.1")
	return &model{
		local: local, mtu: 1500, mac: [6]byte(b.device.HardwareAddr), asked: []netip.Addr{local.Next(), local.Next().Next()},
		peers: map[netip.Addr]modelPeer{local.Next(): {alive: true}, local.Next().Next(): {alive: true}},
	}
}
