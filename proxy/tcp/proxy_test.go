package tcp_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/quota"
	"anyport/proxy/route"
	"anyport/proxy/tcp"
)

// table sends every dst to one route.
type table struct{ route *config.Route }

func (t table) Lookup(config.Protocol, netip.AddrPort) *config.Route { return t.route }

func (table) Passes(config.Protocol, netip.AddrPort) bool { return false }

// proxy is a Serve under test.
type proxy struct {
	t       *testing.T
	addr    string
	live    *route.Live
	route   *route.Route
	records chan route.Record
	mirrors chan netip.AddrPort // the calls of Mirror

	files    []*quota.Quota
	handover chan func() error
	moves    chan tcp.Move
	arrivals chan []tcp.Conn
	stop     context.CancelFunc
	done     chan struct{} // closed when Serve has returned
}

// patience is what no test should need.
const patience = 20 * time.Second

// forward is a route to origins with generous timeouts. A conn is idle while a test opens
// hundreds of others, which takes an emulated machine longer than patience.
func forward(origins ...string) *config.Route {
	r := &config.Route{
		Name: "test", Protocols: []config.Protocol{config.TCP}, Action: config.Forward,
		ProxyProtocol: config.ProxyOff,
		Timeouts: config.Timeouts{
			Connect: patience, Idle: time.Hour, HalfClose: time.Hour, Drain: patience,
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
	return serveUntil(t, context.Background(), fd, addr, routes, r)
}

func serveUntil(t *testing.T, ctx context.Context, fd int, addr string, routes route.Table, r *config.Route) *proxy {
	const loops = 2
	p := &proxy{
		t: t, addr: addr, records: make(chan route.Record, 1<<12), mirrors: make(chan netip.AddrPort, 1<<12),
		handover: make(chan func() error), moves: make(chan tcp.Move), arrivals: make(chan []tcp.Conn), done: make(chan struct{}),
	}
	live := route.NewLive(loops)
	live.Swap(routes, []*config.Route{r})
	live.SetRecording(route.Recording{To: func(r route.Record) { p.records <- r }, Share: 1})
	p.live, p.route = live, live.Set().Routes[0]
	p.files = quota.Divide(1<<20, loops, quota.NewPool(0))
	ctx, stop := context.WithCancel(ctx)
	p.stop = stop
	go func() {
		defer close(p.done)
		err := tcp.Serve(ctx, tcp.Options{
			Listeners: []int{fd}, Loops: loops, Routes: live, Files: p.files,
			Handovers: p.handover, Moves: p.moves, Arrivals: p.arrivals,
			Mirror: func(_ config.Protocol, dst netip.AddrPort) { p.mirrors <- dst }, Log: slog.New(slog.DiscardHandler),
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
	for _, q := range p.files {
		if n := q.Held(); n != 0 {
			p.t.Errorf("%d files are still counted", n)
		}
	}
	for _, o := range p.route.Origins().Origins {
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
	return dialFrom(t, nil, addr)
}

// dialFrom connects a client of that address, or of any.
func dialFrom(t *testing.T, local *net.TCPAddr, addr string) *net.TCPConn {
	t.Helper()
	to, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.DialTCP("tcp", local, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
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

// pair is a conn seen from both its ends.
func (p *proxy) pair(conns <-chan *net.TCPConn) (client, origin *net.TCPConn) {
	p.t.Helper()
	client = p.dial()
	return client, <-conns
}
