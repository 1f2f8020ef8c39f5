package steering

import (
	"net/netip"
	"testing"
	"time"

	"anyport/config"
	"anyport/steering/internal/tabletest"
	"anyport/steering/program"
)

// BenchmarkKernel is one look of the program at a first packet, without the packet.
func BenchmarkKernel(b *testing.B) {
	for _, test := range []struct {
		name     string
		protocol config.Protocol
		dst      string
		with     func(*config.Route)
	}{
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
	} {
		b.Run(test.name, func(b *testing.B) {
			r := tabletest.Route("r", "1-65535", "192.0.2.0/24", "2001:db8:1::/48")
			r.Protocols = []config.Protocol{config.TCP, config.UDP}
			if test.with != nil {
				test.with(r)
			}
			s := open(b, &config.Config{Routes: []*config.Route{r}})
			dst := netip.MustParseAddrPort(test.dst)
			context := program.Packet{Protocol: test.protocol, Dst: dst, Client: netip.AddrPortFrom(dst.Addr(), 40000)}.Context(0)
			b.ResetTimer()
			if _, err := program.TestRun(s.loaded.Program, context, uint32(b.N)); err != nil {
				b.Fatal(err)
			}
		})
	}
}
