package tcp

import (
	"log/slog"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/proxy/route"
)

// A shut gate must silence the listener: it stays readable, and a loop that is
// told so again and again would spin.
func TestGate(t *testing.T) {
	l, listener := loopAndListener(t)
	knock(t, listener)
	if n := events(t, l); n != 1 {
		t.Fatalf("%d events of a listener with a client, want 1", n)
	}
	l.shut(unix.EMFILE)
	if n := events(t, l); n != 0 {
		t.Errorf("%d events with the gate shut, want none", n)
	}
	l.reopen()
	if n := events(t, l); n != 1 {
		t.Errorf("%d events with the gate open again, want 1", n)
	}
}

// The reserve is for the dial of a conn that was accepted with the last fd: the
// gate stays shut until there is one again.
func TestGateReserve(t *testing.T) {
	l, listener := loopAndListener(t)
	knock(t, listener)
	fd := l.gate.spend(unix.AF_INET)
	if fd < 0 {
		t.Fatal("a new loop has no reserve")
	}
	unix.Close(fd)
	if l.gate.spend(unix.AF_INET) >= 0 {
		t.Error("the reserve was spent twice")
	}
	l.shut(unix.EMFILE)
	l.reopen()
	if l.gate.shut || l.gate.reserve[0] < 0 {
		t.Errorf("shut %v, reserve %v: the gate opens once the reserve is whole again", l.gate.shut, l.gate.reserve)
	}
}

func TestScarce(t *testing.T) {
	for _, err := range []error{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM} {
		if !scarce(err) {
			t.Errorf("%v does not shut the gate", err)
		}
	}
	for _, err := range []error{nil, unix.ECONNABORTED, unix.EPERM, unix.EINTR} {
		if scarce(err) {
			t.Errorf("%v shuts the gate", err)
		}
	}
}

func loopAndListener(t *testing.T) (*loop, int) {
	t.Helper()
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(listener) })
	if err := unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(listener, 8); err != nil {
		t.Fatal(err)
	}
	l := newLoop(Options{Listeners: []int{listener}, Loops: 1, Routes: route.NewLive(1), Log: slog.New(slog.DiscardHandler)}, 0)
	if err := l.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.orders.Close)
	t.Cleanup(l.close)
	return l, listener
}

// knock leaves a client in the accept queue: a blocking connect is over once it is there.
func knock(t *testing.T, listener int) (client *os.File) {
	t.Helper()
	name, err := unix.Getsockname(listener)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	client = os.NewFile(uintptr(fd), "client")
	t.Cleanup(func() { client.Close() })
	if err := unix.Connect(fd, name); err != nil {
		t.Fatal(err)
	}
	return client
}

func events(t *testing.T, l *loop) int {
	t.Helper()
	for {
		n, err := unix.EpollWait(l.epoll, l.events[:], 0)
		if err == nil {
			return n
		}
		if err != unix.EINTR {
			t.Fatal(err)
		}
	}
}
