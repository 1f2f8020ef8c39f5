package origin

import (
	"net/netip"
	"testing"
	"time"

	"anyport/config"
)

// BenchmarkPick is what each new conn and flow pays, by the number of origins that are up.
func BenchmarkPick(b *testing.B) {
	for name, origins := range map[string][]string{"1": {"10.0.0.1"}, "3": {"10.0.0.1", "10.0.0.2", "10.0.0.3"}} {
		b.Run(name, func(b *testing.B) {
			r := &config.Route{Balance: config.RoundRobin}
			for _, text := range origins {
				r.Origins = append(r.Origins, config.Origin{Text: text, Addr: netip.MustParseAddr(text), Weight: 1})
			}
			p, now := NewPool(r, nil), time.Now()
			b.ReportAllocs()
			for b.Loop() {
				p.Pick(Ask{Client: netip.MustParseAddr("192.0.2.1"), Protocol: config.UDP, Port: 53, Now: now})
			}
		})
	}
}
