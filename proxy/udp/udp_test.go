package udp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/internal/proxytest"
	"anyport/proxy/route"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

type routes = proxytest.Routes

var live, to = proxytest.Live, proxytest.To

// proxy is a Serve that runs for a test.
type proxy struct {
	dsts    []netip.AddrPort // one a listener
	live    *route.Live
	records chan route.Record
	stop    func() // and wait for the end
}

// serve runs a proxy with a listener on each address, a port of its own each.
func serve(t *testing.T, r *config.Route, addrs ...string) *proxy {
	t.Helper()
	listeners, dsts := listen(t, addrs...)
	return serveOn(t, Options{Listeners: listeners, Routes: live(r, dsts...)}, dsts)
}

func serveOn(t *testing.T, opt Options, dsts []netip.AddrPort) *proxy {
	t.Helper()
	p := &proxy{dsts: dsts, live: opt.Routes, records: make(chan route.Record, 1000)}
	opt.Routes.SetRecording(route.Recording{To: func(r route.Record) { p.records <- r }, Share: 1})
	opt.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, opt) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(p.stop)
	return p
}

// listen opens listeners as steering would, but for being bound to one dst each.
// Bound to the device too, they come before reply sockets of the same address
// and port, which in production SK_LOOKUP does.
func listen(t *testing.T, addrs ...string) (fds []int, dsts []netip.AddrPort) {
	t.Helper()
	for _, addr := range addrs {
		fd := open(t, netip.MustParseAddr(addr))
		check(t, errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1),
			unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, "lo"),
			unix.Bind(fd, unixAddr(netip.AddrPortFrom(netip.MustParseAddr(addr), 0)))))
		fds, dsts = append(fds, fd), append(dsts, boundTo(t, fd))
	}
	return fds, dsts
}

// open opens a UDP socket that tells the dst of what it receives.
func open(t *testing.T, addr netip.Addr) int {
	t.Helper()
	family, level, recvDst := unix.AF_INET6, unix.SOL_IPV6, unix.IPV6_RECVORIGDSTADDR
	if addr.Is4() {
		family, level, recvDst = unix.AF_INET, unix.SOL_IP, unix.IP_RECVORIGDSTADDR
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	check(t, unix.SetsockoptInt(fd, level, recvDst, 1))
	return fd
}

func boundTo(t *testing.T, fd int) netip.AddrPort {
	t.Helper()
	name, err := unix.Getsockname(fd)
	check(t, err)
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	t.Fatalf("a socket of the family of %T", name)
	return netip.AddrPort{}
}

// peer is a client or an origin: a socket of the standard library.
type peer struct {
	*testing.T
	*net.UDPConn
}

func newPeer(t *testing.T, addr string) peer {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addr), 0)))
	check(t, err)
	check(t, errors.Join(conn.SetReadBuffer(4<<20), conn.SetWriteBuffer(4<<20)))
	t.Cleanup(func() { conn.Close() })
	return peer{t, conn}
}

func (p peer) addr() netip.AddrPort { return p.LocalAddr().(*net.UDPAddr).AddrPort() }

func (p peer) send(b []byte, to netip.AddrPort) {
	p.Helper()
	_, err := p.WriteToUDPAddrPort(b, to)
	check(p.T, err)
}

// receive waits for a datagram.
func (p peer) receive() ([]byte, netip.AddrPort) {
	p.Helper()
	b := make([]byte, 1<<16)
	check(p.T, p.SetReadDeadline(time.Now().Add(patience)))
	n, from, err := p.ReadFromUDPAddrPort(b)
	check(p.T, err)
	return b[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
}

// expect waits for a datagram, which must be this one.
func (p peer) expect(want []byte, from netip.AddrPort) {
	p.Helper()
	got, sender := p.receive()
	if string(got) != string(want) || sender != from {
		p.Fatalf("received %d bytes %.40q from %v, want %d bytes %.40q from %v", len(got), got, sender, len(want), want, from)
	}
}

// echo answers everything, until the origin is closed.
func (p peer) echo() {
	go func() {
		for b := make([]byte, 1<<16); ; {
			n, from, err := p.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			_, _ = p.WriteToUDPAddrPort(b[:n], from)
		}
	}()
}

// record waits for the next line of the access log.
func (p *proxy) record(t *testing.T) route.Record {
	t.Helper()
	select {
	case r := <-p.records:
		return r
	case <-time.After(patience):
		t.Fatal("no record came")
	}
	return route.Record{}
}

// totals are the counts of the proxy's one route.
func (p *proxy) totals() route.Totals { return p.live.Set().Routes[0].Stats.Totals() }

// waitFor waits until done says so.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited for %s, which did not happen", what)
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// noLeaks checks that the test leaves no more files and goroutines than there were before it.
func noLeaks(t *testing.T) {
	t.Helper()
	newPeer(t, "127.0.0.1").Close() // the runtime's own poller is open from now on
	files, goroutines := countFiles(t), runtime.NumGoroutine()
	t.Cleanup(func() {
		waitFor(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= goroutines })
		if now := countFiles(t); now != files {
			t.Errorf("%d files are open, %d were before", now, files)
		}
	})
}

func countFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	check(t, err)
	return len(files)
}

// needRoot skips a test that can't do without; REQUIRE_ROOT=1 makes that a failure.
func needRoot(t *testing.T) {
	t.Helper()
	switch {
	case os.Geteuid() == 0:
	case os.Getenv("REQUIRE_ROOT") == "1":
		t.Fatal("needs root")
	default:
		t.Skip("needs root")
	}
}
