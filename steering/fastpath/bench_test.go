package fastpath

import (
	"net/netip"
	"testing"
	"time"

	"anyport/bpf/fastflow"
	"anyport/steering/clock"
	"anyport/steering/netnstest"
)

// BenchmarkProgram says what the program costs a packet, without what the kernel does with it before and
// afterwards.
func BenchmarkProgram(b *testing.B) {
	netnstest.Enter(b)
	o, err := Load()
	if err != nil {
		b.Fatal(err)
	}
	defer o.Close()
	const hops = 250 // the program takes one from each datagram that it forwards, time and again
	for family, f := range ends {
		// A flow whose datagrams are not changed, so that they are its own again the next time.
		f.Source, f.Origin, f.Idle = f.Client, f.Dst, time.Hour
		e := entriesOf(f, way{0, 1500}, way{0, 1500}, 1, 7, 0)
		for _, test := range []struct {
			name   string
			header fastflow.Header
			frame  []byte
		}{
			{"forwarded", fastflow.None, frameOf(f.Client, f.Dst, make([]byte, 64), 255, false)},
			{"forwarded, 1200 bytes", fastflow.None, frameOf(f.Client, f.Dst, make([]byte, 1200), 255, false)},
			{"unknown UDP", fastflow.None, frameOf(f.Dst, f.Client, make([]byte, 64), 255, false)},
			{"TCP", fastflow.None, func() []byte {
				frame := frameOf(f.Client, f.Dst, make([]byte, 64), 255, false)
				frame[map[string]int{"IPv4": 23, "IPv6": 20}[family]] = 6
				return frame
			}()},
		} {
			b.Run(family+" "+test.name, func(b *testing.B) {
				m := &model{generation: 1}
				fill(b, o, m)
				if err := o.Few.Put(&e.forth, &e.toOrigin); err != nil {
					b.Fatal(err)
				}
				if err := o.Usage.Put(uint32(7), &usage{Id: 7, Last: uint64(clock.Monotonic())}); err != nil {
					b.Fatal(err)
				}
				var spent time.Duration
				runs := 0
				for b.Loop() {
					_, each, err := o.Program.Benchmark(test.frame, hops, nil)
					if err != nil {
						b.Fatal(err)
					}
					spent += each
					runs++
				}
				b.ReportMetric(float64(spent.Nanoseconds())/float64(runs), "ns/packet")
			})
		}
	}
}

// BenchmarkAdmit is what a flow costs that is admitted, and removed.
func BenchmarkAdmit(b *testing.B) {
	r := newRig(b)
	p := r.open()
	f := ends["IPv4"]
	f.Idle = time.Hour
	for i := 0; b.Loop(); i++ {
		f.Client = netip.AddrPortFrom(f.Client.Addr(), uint16(1024+i%60000))
		r.check(p.Admit(f))
		p.Leave(f)
		p.Remove(f)
	}
}
