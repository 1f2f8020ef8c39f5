package tcp_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/route"
	"anyport/proxy/tcp"
)

// table sends every dst to one route.
type table struct{ route *config.Route }

func (t table) Lookup(config.Protocol, netip.AddrPort) *config.Route { return t.route }

// proxy is a Serve under test.
type proxy struct {
	t       *testing.T
	addr    string
	route   *route.Route
	records chan route.Record

	unrouted atomic.Uint64
	stop     context.CancelFunc
	done     chan struct{} // closed when Serve has returned
}

// patience is what no test should need.
const patience = 20 * time.Second

// forward is a route to origins with generous timeouts.
func forward(origins ...string) *config.Route {
	r := &config.Route{
		Name: "test", Protocols: []config.Protocol{config.TCP}, Action: config.Forward,
		ProxyProtocol: config.ProxyOff,
		Timeouts: config.Timeouts{
			Connect: patience, Idle: patience, HalfClose: patience, Drain: patience,
		},
	}
	for _, o := range origins {
		at := netip.MustParseAddrPort(o)
		r.Origins = append(r.Origins, config.Origin{
			Text: o, Addr: at.Addr(), Ports: config.PortRange{First: at.Port(), Last: at.Port()}, Weight: 1,
		})
	}
	return r
}

// serve runs a proxy until the test ends; it then drains in order, or the test fails.
func serve(t *testing.T, r *config.Route) *proxy { return serveTable(t, table{r}, r) }

func serveTable(t *testing.T, routes route.Table, r *config.Route) *proxy {
	t.Helper()
	tidy(t)
	fd, addr := listen(t, netip.MustParseAddrPort("127.0.0.1:0"))
	return serveOn(t, fd, addr, routes, r)
}

func serveOn(t *testing.T, fd int, addr string, routes route.Table, r *config.Route) *proxy {
	const loops = 2
	p := &proxy{t: t, addr: addr, records: make(chan route.Record, 1<<12), done: make(chan struct{})}
	live := route.NewLive(loops)
	live.Swap(routes, []*config.Route{r})
	p.route = live.Set().Routes[0]
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	go func() {
		defer close(p.done)
		err := tcp.Serve(ctx, tcp.Options{
			Listeners: []int{fd}, Loops: loops, Routes: live, Unrouted: &p.unrouted,
			Record: func(r route.Record) { p.records <- r }, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Errorf("Serve: %v", err)
		}
	}()
	t.Cleanup(func() {
		stop()
		<-p.done
		p.balanced()
	})
	return p
}

// balanced checks that all that was begun has ended.
func (p *proxy) balanced() {
	p.t.Helper()
	if n := p.route.Stats.Active(config.TCP); n != 0 {
		p.t.Errorf("%d conns are still counted against the route", n)
	}
	for _, o := range p.route.Origins.Origins {
		if n := o.Active(); n != 0 {
			p.t.Errorf("%d conns are still counted against origin %s", n, o.Text)
		}
	}
}

// ends waits for the next conn to end, with want.
func (p *proxy) ends(want route.Verdict) route.Record {
	p.t.Helper()
	r := <-p.records
	if r.Verdict != want {
		p.t.Errorf("verdict %v, want %v", r.Verdict, want)
	}
	return r
}

// dial connects a client, which the test's end closes.
func (p *proxy) dial() *net.TCPConn { return dial(p.t, p.addr) }

func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// refused checks that a new client gets RST, be it before connect has returned.
func (p *proxy) refused() {
	p.t.Helper()
	c, err := net.Dial("tcp", p.addr)
	if err == nil {
		defer c.Close()
		_, err = io.ReadAll(c)
	}
	if !errors.Is(err, unix.ECONNRESET) {
		p.t.Errorf("got %v, want %v", err, unix.ECONNRESET)
	}
}

// listen returns a raw non-blocking listener, as steering makes them.
func listen(t *testing.T, at netip.AddrPort) (fd int, addr string) {
	t.Helper()
	family, to := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Addr: at.Addr().As16()})
	if at.Addr().Is4() {
		family, to = unix.AF_INET, &unix.SockaddrInet4{Addr: at.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Skip("no socket of this family:", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, to); err != nil {
		t.Skip("no loopback of this family:", err)
	}
	if err := unix.Listen(fd, 4096); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		return fd, netip.AddrPortFrom(at.Addr(), uint16(a.Port)).String()
	case *unix.SockaddrInet6:
		return fd, netip.AddrPortFrom(at.Addr().Unmap(), uint16(a.Port)).String()
	}
	return fd, ""
}

// origin answers conns with handle, each in a goroutine that the test waits for.
func origin(t *testing.T, handle func(c *net.TCPConn)) (addr string) {
	t.Helper()
	tidy(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				handle(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

// accepting is an origin whose conns the test handles itself.
func accepting(t *testing.T) (addr string, conns <-chan *net.TCPConn) {
	taken, done := make(chan *net.TCPConn), make(chan struct{})
	addr = origin(t, func(c *net.TCPConn) {
		select {
		case taken <- c:
			<-done
		case <-done:
		}
	})
	t.Cleanup(func() { close(done) })
	return addr, taken
}

// pair is a conn seen from both its ends.
func (p *proxy) pair(conns <-chan *net.TCPConn) (client, origin *net.TCPConn) {
	p.t.Helper()
	client = p.dial()
	return client, <-conns
}

func echo(c *net.TCPConn) { io.Copy(c, c) }

// reset closes with RST.
func reset(c *net.TCPConn) {
	c.SetLinger(0)
	c.Close()
}

// say writes all of text.
func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// hear reads as many bytes as want has, and compares.
func hear(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("read %q, %v; want %q", got[:n], err, want)
	}
}

// hearFIN reads the end of the stream, and nothing before it.
func hearFIN(t *testing.T, c net.Conn) {
	t.Helper()
	if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
		t.Fatalf("read %d bytes, %v; want FIN", len(rest), err)
	}
}

// hearRST reads RST, and nothing before it.
func hearRST(t *testing.T, c net.Conn) {
	t.Helper()
	if rest, err := io.ReadAll(c); !errors.Is(err, unix.ECONNRESET) || len(rest) > 0 {
		t.Fatalf("read %d bytes, %v; want %v", len(rest), err, unix.ECONNRESET)
	}
}

// hearSomeThenRST reads whatever comes before RST.
func hearSomeThenRST(t *testing.T, c net.Conn) {
	t.Helper()
	if n, err := io.Copy(io.Discard, c); !errors.Is(err, unix.ECONNRESET) {
		t.Fatalf("read %d bytes, %v; want %v", n, err, unix.ECONNRESET)
	}
}

// control runs what needs c's fd.
func control(t *testing.T, c *net.TCPConn, do func(fd int)) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { do(int(fd)) })
	}
	if err != nil {
		t.Fatal(err)
	}
}

// unread is the number of bytes in c's receive queue.
func unread(t *testing.T, c *net.TCPConn) (n int) {
	t.Helper()
	control(t, c, func(fd int) { n, _ = unix.IoctlGetInt(fd, unix.SIOCINQ) })
	return n
}

// fill writes until nobody has taken more for a while.
func fill(t *testing.T, c *net.TCPConn) {
	t.Helper()
	block := make([]byte, 64<<10)
	for {
		c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		_, err := c.Write(block)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return
		case err != nil:
			t.Fatal(err)
		}
	}
}
