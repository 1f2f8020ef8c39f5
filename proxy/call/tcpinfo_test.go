package call

import (
	"net"
	"syscall"
	"testing"
)

// connected is a conn over loopback that has sent one segment.
func connected(t testing.TB) (fd int) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	peer, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := peer.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(own uintptr) { fd = int(own) }); err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestTCPInfo(t *testing.T) {
	if got := GetTCPInfo(connected(t)); got.RTT == 0 || got.DataSent < 1 {
		t.Errorf("%+v", got)
	}
	if got := GetTCPInfo(-1); got != (TCPInfo{}) {
		t.Errorf("of no socket: %+v", got)
	}
}

func BenchmarkTCPInfo(b *testing.B) {
	fd := connected(b)
	for b.Loop() {
		GetTCPInfo(fd)
	}
}
