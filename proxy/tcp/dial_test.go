package tcp_test

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	proxyproto "github.com/pires/go-proxyproto"

	"anyport/config"
	"anyport/proxy/route"
)

func TestHeader(t *testing.T) {
	for _, c := range []struct {
		name   string
		kind   config.ProxyProtocol
		listen string
	}{
		{"v1", config.ProxyV1, "127.0.0.1:0"},
		{"v2", config.ProxyV2, "127.0.0.1:0"},
		{"v1 of a mapped client", config.ProxyV1, "[::ffff:127.0.0.1]:0"},
		{"v2 of a mapped client", config.ProxyV2, "[::ffff:127.0.0.1]:0"},
		{"v1 over IPv6", config.ProxyV1, "[::1]:0"},
		{"v2 over IPv6", config.ProxyV2, "[::1]:0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			headers := make(chan *proxyproto.Header, 2)
			r := forward(origin(t, func(c *net.TCPConn) {
				in := bufio.NewReader(c)
				h, err := proxyproto.Read(in)
				if err != nil {
					t.Error(err)
				}
				headers <- h
				io.WriteString(c, "welcome ")
				io.Copy(c, in)
			}))
			r.ProxyProtocol = c.kind
			fd, addr := listen(t, netip.MustParseAddrPort(c.listen))
			p := serveOn(t, fd, addr, table{r}, r)
			talkFirst(t, p, headers)
			listenFirst(t, p, headers)
		})
	}
}

// talkFirst is a client whose first bytes are there as the header goes out.
func talkFirst(t *testing.T, p *proxy, headers <-chan *proxyproto.Header) {
	c := p.dial()
	say(t, c, "hello")
	names(t, <-headers, c)
	hear(t, c, "welcome hello")
	c.Close()
	if r := p.ends(route.Closed); r.Sent[route.ToOrigin].Bytes != uint64(len("hello")) {
		t.Errorf("%d bytes recorded to the origin: the header is none of them", r.Sent[route.ToOrigin].Bytes)
	}
}

// listenFirst is a client that sends nothing before it has heard the origin.
func listenFirst(t *testing.T, p *proxy, headers <-chan *proxyproto.Header) {
	c := p.dial()
	names(t, <-headers, c)
	hear(t, c, "welcome ")
	c.Close()
	p.ends(route.Closed)
}

func names(t *testing.T, h *proxyproto.Header, c *net.TCPConn) {
	t.Helper()
	if h == nil || h.SourceAddr.String() != c.LocalAddr().String() || h.DestinationAddr.String() != c.RemoteAddr().String() {
		t.Errorf("header %+v does not name client %v and dst %v", h, c.LocalAddr(), c.RemoteAddr())
	}
}

func TestNextOrigin(t *testing.T) {
	up := origin(t, echo)
	for name, origins := range map[string][]string{
		"one refuses":           {closed(t), up},
		"two refuse":            {closed(t), closed(t), up},
		"one does not answer":   {silent(t), up},
		"both kinds of failure": {closed(t), silent(t), up},
	} {
		t.Run(name, func(t *testing.T) {
			r := forward(origins...)
			r.Balance = config.First
			r.Connect = 100 * time.Millisecond
			r.ProxyProtocol = config.ProxyOff
			p := serve(t, r)
			c := p.dial()
			say(t, c, "sent before any origin is there")
			hear(t, c, "sent before any origin is there")
			c.Close()
			if got := p.ends(route.Closed); got.Origin.String() != up {
				t.Errorf("origin %v, want %v", got.Origin, up)
			}
		})
	}
}

func TestNoOriginLeft(t *testing.T) {
	drained := forward(closed(t))
	drained.Origins[0].Weight = 0
	for name, c := range map[string]struct {
		route    *config.Route
		want     route.Verdict
		mirrored int // to the next clients
	}{
		"all refuse":                  {forward(closed(t), closed(t)), route.ConnectFailed, 1},
		"none answers":                {forward(silent(t)), route.ConnectTimedOut, 0},
		"the last one refuses":        {forward(silent(t), closed(t)), route.ConnectFailed, 0},
		"the first one refuses":       {forward(closed(t), silent(t)), route.ConnectTimedOut, 0},
		"none takes new conns":        {drained, route.NoOrigin, 0},
		"its address is not dialable": {forward("255.255.255.255:1"), route.ConnectFailed, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c.route.Balance = config.First
			c.route.Connect = 100 * time.Millisecond
			c.route.MirrorClosed = true
			p := serve(t, c.route)
			p.refused()
			got := p.ends(c.want)
			last := netip.AddrPort{}
			if c.want != route.NoOrigin {
				last = netip.MustParseAddrPort(c.route.Origins[len(c.route.Origins)-1].Text)
			}
			if got.Origin != last {
				t.Errorf("origin %v, want %v", got.Origin, last)
			}
			if len(p.mirrors) != c.mirrored || c.mirrored > 0 && <-p.mirrors != got.Dst {
				t.Errorf("mirrored %d times, or another dst; want %v %d times", len(p.mirrors), got.Dst, c.mirrored)
			}
		})
	}
}

// A client that resets while the origin is silent gives the dial up.
func TestResetWhileDialling(t *testing.T) {
	p := serve(t, forward(silent(t)))
	c := p.dial()
	say(t, c, "hello")
	reset(c)
	p.ends(route.ResetByClient)
}

// FIN is not a reset: the client still waits for an answer.
func TestFINWhileDialling(t *testing.T) {
	r := forward(silent(t), origin(t, echo))
	r.Balance = config.First
	r.Connect = 200 * time.Millisecond
	p := serve(t, r)
	c := p.dial()
	say(t, c, "hello")
	c.CloseWrite()
	hear(t, c, "hello")
	hearFIN(t, c)
	p.ends(route.Closed)
}

func TestSource(t *testing.T) {
	from := make(chan string, 1)
	r := forward(origin(t, func(c *net.TCPConn) { from <- c.RemoteAddr().(*net.TCPAddr).IP.String() }))
	r.Source = []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("127.0.0.9")}
	p := serve(t, r)
	p.dial()
	if got := <-from; got != "127.0.0.9" {
		t.Errorf("dialled from %s, want the source of the origin's family", got)
	}
}
