package tcp

import (
	"net/netip"
	"testing"
)

// BenchmarkBirth begins and ends a conn beside ten thousand others of as many clients,
// without its system calls.
func BenchmarkBirth(b *testing.B) {
	const others = 10_000
	f := newFakeConn()
	born := func(n int) *conn {
		c := &conn{route: f.conn.route, ends: [2]end{{fd: -1}, {fd: -1}}}
		c.client = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 1)
		f.addConn(c)
		return c
	}
	for n := range others {
		born(n)
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		f.endConn(born(others+n%others), 1)
	}
}
