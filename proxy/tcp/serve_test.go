package tcp_test

import (
	"fmt"
	"net"
	"net/netip"
	"net/smtp"
	"testing"

	"golang.org/x/net/nettest"
	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/route"
	"anyport/proxy/tcp"
)

func TestConn(t *testing.T) {
	addr, conns := accepting(t)
	p := serve(t, forward(addr))
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		client, origin := p.pair(conns)
		return client, origin, func() { client.Close(); origin.Close() }, nil
	})
}

func TestRecord(t *testing.T) {
	addr := origin(t, echo)
	p := serve(t, forward(addr))
	c := p.dial()
	say(t, c, "hello")
	c.CloseWrite()
	hear(t, c, "hello")
	hearFIN(t, c)
	got := p.ends(route.Closed)
	want := route.Record{
		Begun: got.Begun, Took: got.Took, Protocol: config.TCP, Route: "test",
		Client: netip.MustParseAddrPort(c.LocalAddr().String()), Dst: netip.MustParseAddrPort(p.addr),
		Origin: netip.MustParseAddrPort(addr), Source: got.Source, Connect: got.Connect, Attempts: 1, Verdict: route.Closed, Phase: route.InLast,
		ID: got.ID, Sent: [2]route.Sent{{Bytes: 5, Packets: got.Sent[0].Packets, RTT: got.Sent[0].RTT}, {Bytes: 5, Packets: got.Sent[1].Packets, RTT: got.Sent[1].RTT}},
	}
	if got != want {
		t.Errorf("record %+v\n  want %+v", got, want)
	}
	if got.ID == 0 || !got.Source.Addr().IsLoopback() || got.Source.Port() == 0 || got.Connect <= 0 || got.Sent[0].Packets < 1 || got.Sent[1].Packets < 1 || got.Sent[0].RTT <= 0 || got.Sent[1].RTT <= 0 {
		t.Errorf("record %+v lacks an id, the source, the time to connect, packets or a round-trip time", got)
	}
	totals := p.route.Stats.Totals()
	if n := totals.Ended[config.TCP][route.Closed]; n != 1 {
		t.Errorf("%d conns counted, want 1", n)
	}
	if n := totals.Bytes[config.TCP][route.ToOrigin]; n != 5 {
		t.Errorf("%d bytes counted to the origin, want 5", n)
	}
	if n := totals.Bytes[config.TCP][route.ToClient]; n != 5 {
		t.Errorf("%d bytes counted to the client, want 5", n)
	}
}

// One listener of both families gets IPv4 conns as IPv4-mapped ones.
func TestListenerFamilies(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::ffff:127.0.0.1]:0", "[::1]:0"} {
		t.Run(at, func(t *testing.T) {
			tidy(t)
			r := forward(origin(t, echo))
			fd, addr := listen(t, netip.MustParseAddrPort(at))
			p := serveOn(t, fd, addr, table{r}, r)
			c := p.dial()
			say(t, c, "hello")
			hear(t, c, "hello")
			c.Close()
			got := p.ends(route.Closed)
			if got.Dst.String() != addr || got.Client.String() != c.LocalAddr().String() {
				t.Errorf("client %v, dst %v; want %v, %v", got.Client, got.Dst, c.LocalAddr(), addr)
			}
		})
	}
}

func TestUnrouted(t *testing.T) {
	r := forward(origin(t, echo))
	p := serveTable(t, table{nil}, r)
	p.refused()
	if got := p.ends(route.NoRoute); got.Route != "" {
		t.Errorf("route %q, want none", got.Route)
	}
	if n := p.live.Unrouted.Totals().Ended[config.TCP][route.NoRoute]; n != 1 {
		t.Errorf("%d counted, want 1", n)
	}
}

func TestDenied(t *testing.T) {
	r := forward(origin(t, echo))
	r.Deny = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	p := serve(t, r)
	p.refused()
	p.ends(route.Denied)
}

func TestMaxConns(t *testing.T) {
	r := forward(origin(t, echo))
	r.MaxConns = 1
	p := serve(t, r)
	first := p.dial()
	say(t, first, "hello")
	hear(t, first, "hello")
	p.refused()
	p.ends(route.OverMaxConns)
	first.Close()
	p.ends(route.Closed)
	third := p.dial()
	say(t, third, "hello")
	hear(t, third, "hello")
}

// An SMTP client says nothing before it has read the server's banner.
func TestServerFirst(t *testing.T) {
	p := serve(t, forward(origin(t, func(c *net.TCPConn) {
		fmt.Fprint(c, "220 origin ready\r\n")
		echo(c)
	})))
	c, err := smtp.NewClient(p.dial(), "origin")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestServeRefusesWhatItCannotServe(t *testing.T) {
	notListening, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(notListening)
	for name, opt := range map[string]tcp.Options{
		"no loop":       {Listeners: []int{notListening}},
		"no listener":   {Loops: 1},
		"not a socket":  {Loops: 1, Listeners: []int{0}},
		"not an fd":     {Loops: 1, Listeners: []int{1 << 20}},
		"not listening": {Loops: 1, Listeners: []int{notListening}},
	} {
		opt.Routes = route.NewLive(1)
		if err := tcp.Serve(t.Context(), opt); err == nil {
			t.Errorf("%s: served without an error", name)
		}
	}
}
