package socketfilter

import (
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAttach: a filter drops what it returns 0 for, and keeps what it returns more for. The
// datagrams that are kept come after those that are dropped: they show that the others
// would have been there.
func TestAttach(t *testing.T) {
	server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client, err := net.Dial("udp", server.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	keepAll := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 16}}
	attach(t, server, DropAll)
	send(t, client, "dropped")
	attach(t, server, func(fd int) error { return Attach(fd, keepAll) })
	send(t, client, "kept")
	if err := server.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 16)
	n, err := server.Read(buffer)
	if got := string(buffer[:n]); err != nil || got != "kept" {
		t.Errorf("received %q, %v, want kept", got, err)
	}
}

func TestAttachFails(t *testing.T) {
	if err := DropAll(-1); !errors.Is(err, unix.EBADF) {
		t.Errorf("DropAll(-1) = %v, want EBADF", err)
	}
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func attach(t *testing.T, conn *net.UDPConn, filter func(fd int) error) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = filter(int(fd)) })
	if err := errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
}
