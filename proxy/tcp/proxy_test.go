package tcp_test

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
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

	Unrouted atomic.Uint64
	stop     context.CancelFunc
	served   chan error
}

// forward is a route to origins with generous timeouts.
func forward(origins ...string) *config.Route {
	r := &config.Route{
		Name: "test", Protocols: []config.Protocol{config.TCP}, Action: config.Forward,
		ProxyProtocol: config.ProxyOff,
		Timeouts: config.Timeouts{
			Connect: time.Minute, Idle: time.Minute, HalfClose: time.Minute, Drain: time.Minute,
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
func serve(t *testing.T, r *config.Route) *proxy { return serveLoops(t, r, 2) }

func serveLoops(t *testing.T, r *config.Route, loops int) *proxy {
	t.Helper()
	tidy(t)
	p := &proxy{t: t, records: make(chan route.Record, 1<<16), served: make(chan error, 1)}
	fd, addr := listen(t, 4096)
	p.addr = addr
	live := route.NewLive(loops)
	live.Swap(table{r}, []*config.Route{r})
	p.route = live.Set().Routes[0]
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	go func() {
		p.served <- tcp.Serve(ctx, tcp.Options{
			Listeners: []int{fd}, Loops: loops, Routes: live, Unrouted: &p.Unrouted,
			Record: func(r route.Record) { p.records <- r }, Log: slog.New(slog.DiscardHandler),
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-p.served; err != nil {
			t.Errorf("Serve: %v", err)
		}
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

// verdict waits for the next conn to end.
func (p *proxy) verdict() route.Verdict { return (<-p.records).Verdict }

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

// listen returns a raw non-blocking listener on loopback, as steering makes them.
func listen(t *testing.T, backlog int) (fd int, addr string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, backlog); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	at := name.(*unix.SockaddrInet4)
	return fd, netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(at.Port)).String()
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

// accepted is an origin whose conns the test handles itself.
func accepted(t *testing.T) (addr string, conns <-chan *net.TCPConn) {
	taken := make(chan *net.TCPConn)
	done := make(chan struct{})
	addr = origin(t, func(c *net.TCPConn) {
		taken <- c
		<-done
	})
	t.Cleanup(func() { close(done) })
	return addr, taken
}

var tidied sync.Map

// tidy fails a test that leaves fds or goroutines behind. It looks after all of
// the test's other cleanups have run.
func tidy(t *testing.T) {
	if _, again := tidied.LoadOrStore(t.Name(), true); again {
		return
	}
	net.Dial("tcp", "127.0.0.1:0") // the runtime's own epoll fd
	goroutines, files := runtime.NumGoroutine(), fds(t)
	t.Cleanup(func() {
		tidied.Delete(t.Name())
		await(t, func() bool { return runtime.NumGoroutine() <= goroutines }, "goroutines are left behind")
		await(t, func() bool {
			runtime.GC() // closes the pipes that io.Copy keeps
			return len(fds(t)) <= len(files)
		}, "fds are left behind")
	})
}

// fds lists what the process has open.
func fds(t *testing.T) (open []string) {
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range dir {
		if to, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil && !strings.HasPrefix(to, "/proc/") {
			open = append(open, f.Name()+" → "+to)
		}
	}
	return open
}

// await polls what no event tells of.
func await(t *testing.T, done func() bool, otherwise string) {
	t.Helper()
	for range 1000 {
		if done() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal(otherwise)
}
