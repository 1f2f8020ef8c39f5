package proxy

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/route"
)

// bound makes a socket on a port of 127.0.0.1, with the options that UDP listeners need.
func bound(t *testing.T, kind int) (fd int, addr string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if kind == unix.SOCK_STREAM {
		err = unix.Listen(fd, 10)
	} else {
		err = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_RECVORIGDSTADDR, 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fd, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(name.(*unix.SockaddrInet4).Port)).String()
}

// TestStuck holds up a loop of each kind, by a Record that does not return: the others, idle in
// epoll_wait, still show that they turn.
func TestStuck(t *testing.T) {
	for network, kind := range map[string]int{"tcp": unix.SOCK_STREAM, "udp": unix.SOCK_DGRAM} {
		t.Run(network, func(t *testing.T) {
			held, free := make(chan struct{}), make(chan struct{})
			s := New(Options{Workers: 1, MaxFlows: 10, Log: slog.New(slog.DiscardHandler)})
			s.SetRecording(route.Recording{To: func(route.Record) {
				close(held)
				<-free
			}})
			refuse := &config.Route{Name: "refuse", Protocols: []config.Protocol{config.TCP, config.UDP}, Action: config.Refuse}
			s.Try(one{refuse}, []*config.Route{refuse}).Keep(one{refuse})
			tcpFD, tcpAddr := bound(t, unix.SOCK_STREAM)
			udpFD, udpAddr := bound(t, unix.SOCK_DGRAM)
			ctx, stop := context.WithCancel(t.Context())
			served := make(chan error)
			go func() { served <- s.Serve(ctx, []int{tcpFD}, []int{udpFD}) }() // ended by stop
			waitFor(t, func() bool { return s.pulse.Loops() == s.Loops() })
			turning := func() bool { return s.Stuck() == 0 }
			waitFor(t, turning)

			addr := tcpAddr
			if kind == unix.SOCK_DGRAM {
				addr = udpAddr
			}
			if conn, err := net.Dial(network, addr); err == nil { // else the RST was first
				defer conn.Close()
				_, _ = conn.Write([]byte("hello"))
			}
			<-held
			s.Stuck() // it may have answered before it was held up
			for range 20 {
				time.Sleep(time.Millisecond) // the others need some
				if s.Stuck() == 0 {
					t.Fatal("no loop is stuck")
				}
			}
			waitFor(t, func() bool { return s.Stuck() == 1 }) // the others turn
			close(free)
			waitFor(t, turning)
			stop()
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
	}
}

// waitFor polls what loops do on their own time.
func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for !done() {
		select {
		case <-t.Context().Done():
			t.Fatal("it never came")
		case <-time.After(time.Millisecond):
		}
	}
}
