package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/tcp"
)

// TestMoveAfterTheEnd: a Server that has ended has no conns, and takes none: who it is
// given learns at once that they are cut.
func TestMoveAfterTheEnd(t *testing.T) {
	s := New(Options{Workers: 1})
	close(s.moves.ended)
	if err := s.MoveConns(t.Context(), func([]tcp.Conn) error { return errors.New("there is one") }); err != nil {
		t.Error(err)
	}
	client, near := conn(t)
	origin, far := conn(t)
	s.AdoptConns([]tcp.Conn{{FDs: []int{near, far}}})
	for _, c := range []net.Conn{client, origin} {
		if _, err := io.ReadAll(c); !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("read %v, want %v", err, unix.ECONNRESET)
		}
	}
}

// TestMoveUnheard: nobody waits for ever for loops that do something else.
func TestMoveUnheard(t *testing.T) {
	s := New(Options{Workers: 1})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := s.MoveConns(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want that it took too long", err)
	}
}

// conn is a TCP connection, one end of it as a file descriptor of its own.
func conn(t *testing.T) (far net.Conn, near int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if far, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	file, err := accepted.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if near, err = unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	return far, near
}
