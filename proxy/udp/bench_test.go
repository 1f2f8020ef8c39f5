package udp

import (
	"net/netip"
	"testing"
	"time"

	"anyport/proxy/route"
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
			f := newFakeTable(20_000, live(to(originAddr), dst1, dst2))
			f.record = nil
			for i := range 10_000 {
				k := keyOf(client(i), dst2)
				f.datagram(k, 1, 1)
				f.answer(f.flows[k], []byte{0}, 1)
			}
			for i := 0; b.Loop(); i++ {
				k := keyOf(client(i), dst1)
				fl, verdict := f.datagram(k, 1, time.Duration(i))
				if verdict != route.Forwarded {
					b.Fatal(verdict)
				}
				f.answer(fl, []byte{0}, time.Duration(i))
				f.end(fl, route.IdleTimedOut, time.Duration(i))
			}
		})
	}
}

// BenchmarkDatagram is a datagram of a live flow, there and back, without the kernel.
func BenchmarkDatagram(b *testing.B) {
	r := to(originAddr)
	r.AntiAmplification = true
	f := newFakeTable(10, live(r, dst1))
	k, reply := keyOf(client1, dst1), make([]byte, 64)
	for i := 0; b.Loop(); i++ {
		fl, _ := f.datagram(k, 64, time.Duration(i))
		f.answer(fl, reply, time.Duration(i))
	}
}
