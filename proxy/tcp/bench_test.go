package tcp

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
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

// BenchmarkRelay passes a small message from the client to the origin and one back, without the
// system calls.
func BenchmarkRelay(b *testing.B) {
	f := newFakeConn()
	message := make([]byte, 200)
	send := func(from, to int) {
		speaker, listener := f.peers[int32(from+1)], f.peers[int32(to+1)]
		speaker.says, listener.heard = message, listener.heard[:0]
		f.conn.ends[from].noteEvents(unix.EPOLLIN)
		f.serveConn(f.conn)
	}
	f.conn.ends[clientEnd].noteEvents(unix.EPOLLOUT)
	f.conn.ends[originEnd].noteEvents(unix.EPOLLOUT)
	f.serveConn(f.conn)
	b.ReportAllocs()
	for b.Loop() {
		send(clientEnd, originEnd)
		send(originEnd, clientEnd)
		f.peers[1].room, f.peers[2].room = 1<<30, 1<<30
	}
	if n := len(f.peers[2].heard); n != len(message) {
		b.Fatalf("the origin got %d bytes, want %d", n, len(message))
	}
}
