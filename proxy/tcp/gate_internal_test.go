package tcp

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/call"
	"anyport/proxy/quota"
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
	l.shutGate(unix.EMFILE)
	if n := events(t, l); n != 0 {
		t.Errorf("%d events with the gate shut, want none", n)
	}
	l.reopenGate()
	if n := events(t, l); n != 1 {
		t.Errorf("%d events with the gate open again, want 1", n)
	}
}

// Without files for one more, an accepted conn is parked: it is not begun,
// nothing more is accepted, and it is the first to go in.
func TestGateDoor(t *testing.T) {
	l, listener := loopAndListener(t)
	silent := toSilence(t)
	l.routes.Swap(anywhere{silent}, []*config.Route{silent})
	l.files = quota.New(connFiles, quota.NewPool(0))
	for n := range 3 {
		knock(t, listener)
		if err := l.acceptFrom(listener); err != nil {
			t.Fatal(err)
		}
		if l.connCount != 1 || l.gate.shut != (n > 0) || l.gate.parked.exists() != (n > 0) {
			t.Fatalf("after %d clients: %d conns, shut %v, %v is parked", n+1, l.connCount, l.gate.shut, l.gate.parked.client)
		}
	}
	first := l.slots[0].client
	l.endConn(l.slots[0], route.RelayFailed)
	if l.connCount != 1 || l.slots[0].client == first || l.gate.shut || l.files.Held() != connFiles {
		t.Errorf("%d conns, shut %v, %d files held: want the second conn in the place of the first", l.connCount, l.gate.shut, l.files.Held())
	}
	events(t, l) // of the conn, which come once
	if n := events(t, l); n != 1 {
		t.Errorf("%d events of a listener with one more client, want 1", n)
	}
}

// toSilence is a route to an origin that never answers, also where the host has no network:
// a listener whose filter drops each SYN.
func toSilence(t *testing.T) *config.Route {
	t.Helper()
	_, origin := loopAndListener(t)
	dropAll := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	if err := unix.SetsockoptSockFprog(origin, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &dropAll[0]}); err != nil {
		t.Fatal(err)
	}
	at, err := call.LocalAddr(origin)
	if err != nil {
		t.Fatal(err)
	}
	return &config.Route{
		Name: "test", ProxyProtocol: config.ProxyOff, Timeouts: config.Timeouts{Connect: time.Hour},
		Origins: []config.Origin{{Text: at.String(), Addr: at.Addr(), Ports: config.PortRange{First: at.Port(), Last: at.Port()}, Weight: 1}},
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
	if err := l.openFDs(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.mailbox.Close)
	t.Cleanup(l.closeLoop)
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
