package steering

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"anyport/config"
	"anyport/steering/internal/tabletest"
	"anyport/steering/program"
)

// aLookup is a lookup whose cost is measured, of a route with all ports.
type aLookup struct {
	name     string
	protocol config.Protocol
	dst      string
	with     func(*config.Route)
}

var someLookups = []aLookup{
	{"TCP", config.TCP, "192.0.2.1:80", nil},
	{"UDP", config.UDP, "192.0.2.1:80", nil},
	{"IPv6", config.TCP, "[2001:db8:1::1]:80", nil},
	{"elsewhere", config.TCP, "198.51.100.1:80", nil},
	{"sources", config.TCP, "192.0.2.1:80", func(r *config.Route) { r.Deny = tabletest.Prefixes("10.0.0.0/8", "198.51.100.0/24") }},
	{"birth", config.UDP, "192.0.2.1:80", func(r *config.Route) { r.NewConnsPerSecond, r.UDPIdle = 1e9, time.Nanosecond }},
	{"birth6", config.UDP, "[2001:db8:1::1]:80", func(r *config.Route) { r.NewConnsPerSecond, r.UDPIdle = 1e9, time.Nanosecond }},
	{"limited", config.UDP, "192.0.2.1:80", func(r *config.Route) { r.NewConnsPerSecond, r.UDPIdle = 1, time.Nanosecond }},
	{"again", config.UDP, "192.0.2.1:80", func(r *config.Route) { r.NewConnsPerSecond, r.UDPIdle = 1e9, time.Hour }},
	{"datagrams", config.UDP, "192.0.2.1:80", func(r *config.Route) { r.DatagramsPerSecond = 1e9 }},
	{"refused", config.TCP, "192.0.2.1:80", func(r *config.Route) { r.Action = config.Refuse }},
	{"dropped", config.TCP, "192.0.2.1:80", func(r *config.Route) { r.Action = config.Drop }},
	{"hours", config.TCP, "192.0.2.1:80", func(r *config.Route) { scheduled(r, "00:00..23:59 UTC") }},
	{"knocks", config.TCP, "192.0.2.1:80", func(r *config.Route) { r.Knock.Steps = []config.KnockStep{7000, 8000, 9000} }},
	{"socket", config.TCP, "192.0.2.1:80", func(r *config.Route) { r.Action, r.Service = config.Socket, "absent.service" }},
}

// prepare opens a steering for the lookup, and returns the packet for the program.
func (l aLookup) prepare(t testing.TB) (s *Steering, context []byte) {
	t.Helper()
	r := tabletest.Route("r", "1-65535", "192.0.2.0/24", "2001:db8:1::/48")
	r.Protocols = []config.Protocol{config.TCP, config.UDP}
	if l.with != nil {
		l.with(r)
	}
	dst := netip.MustParseAddrPort(l.dst)
	return open(t, &config.Config{Routes: []*config.Route{r}}),
		program.Packet{Protocol: l.protocol, Dst: dst, Client: netip.AddrPortFrom(dst.Addr(), 40000)}.Context(0)
}

// BenchmarkKernel is one look of the program at a first packet, without the packet. It runs in bursts that are
// shorter than a time slice: the time of the fastest one is the same on a busy machine, and the mean is not.
func BenchmarkKernel(b *testing.B) {
	const burst = 2000
	for _, l := range someLookups {
		b.Run(l.name, func(b *testing.B) {
			s, context := l.prepare(b)
			least := math.Inf(1)
			b.ResetTimer()
			for left := b.N; left > 0; left -= burst {
				n := min(left, burst)
				begun := time.Now()
				clear(context[:8]) // or the program sees the socket that it chose
				if _, err := program.TestRun(s.loaded.Program, context, uint32(n)); err != nil {
					b.Fatal(err)
				}
				least = min(least, float64(time.Since(begun))/float64(n))
			}
			b.ReportMetric(least, "least-ns/op")
		})
	}
}
