package udp

import (
	"net/netip"
	"testing"
	"time"

	"anyport/proxy/flow"
)

// BenchmarkBirth is a question, its answer and the flow's end, without the kernel, in a
// table with 10,000 other flows.
func BenchmarkBirth(b *testing.B) {
	for name, client := range map[string]func(i int) netip.AddrPort{
		"one client": func(i int) netip.AddrPort { return netip.AddrPortFrom(client1.Addr(), uint16(1024+i%60000)) },
		"many clients": func(i int) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 4000)
		},
	} {
		b.Run(name, func(b *testing.B) {
			f := newTestTable(20_000, live(to(originAddr), dst1, dst2))
			for i := range 10_000 {
				k := flow.KeyOf(client(i), dst2)
				f.FromOrigin(f.datagram(k, 1, 1), []byte{0}, 1)
			}
			for i := 0; b.Loop(); i++ {
				k := flow.KeyOf(client(i), dst1)
				fl := f.datagram(k, 1, time.Duration(i))
				if fl == nil {
					b.Fatal("the flow was refused")
				}
				f.FromOrigin(fl, []byte{0}, time.Duration(i))
				f.end(fl, time.Duration(i))
			}
		})
	}
}

// BenchmarkDatagram is a datagram of a live flow, there and back, without the kernel.
func BenchmarkDatagram(b *testing.B) {
	r := to(originAddr)
	r.AntiAmplification = true
	f := newTestTable(10, live(r, dst1))
	k, reply := flow.KeyOf(client1, dst1), make([]byte, 64)
	for i := 0; b.Loop(); i++ {
		f.FromOrigin(f.datagram(k, 64, time.Duration(i)), reply, time.Duration(i))
	}
}
