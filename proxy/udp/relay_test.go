package udp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	proxyproto "github.com/pires/go-proxyproto"
	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/header"
	"anyport/proxy/route"
)

func TestRelay(t *testing.T) {
	noLeaks(t)
	for _, addr := range []string{"127.0.0.1", "::1"} {
		origin, client := newPeer(t, addr), newPeer(t, addr)
		origin.echo()
		p := serve(t, to(origin.addr()), addr)
		for _, size := range []int{0, 1, 1472, 1473, 9000, 65507} {
			payload := bytes.Repeat([]byte("anyport "), size/8+1)[:size]
			client.send(payload, p.dsts[0])
			client.expect(payload, p.dsts[0])
		}
	}
}

// TestFragments is TestRelay where everything above 1,472 bytes is fragmented.
func TestFragments(t *testing.T) {
	if inNamespace(t) {
		setMTU(t, 1500)
		TestRelay(t)
	}
}

// TestBurst: more than one batch waits, and all of it passes in order.
func TestBurst(t *testing.T) {
	noLeaks(t)
	origin, client := newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")
	listeners, dsts := listen(t, "127.0.0.1")
	const n = batch + batch/2
	for i := range n {
		client.send(fmt.Append(nil, i), dsts[0])
	}
	serveOn(t, Options{Listeners: listeners, Routes: live(to(origin.addr()), dsts...)}, dsts)
	var flow netip.AddrPort
	for i := range n {
		got, from := origin.receive()
		if string(got) != fmt.Sprint(i) {
			t.Fatalf("datagram %d is %q", i, got)
		}
		flow = from
	}
	for i := range n {
		origin.send(fmt.Append(nil, i), flow)
	}
	for i := range n {
		client.expect(fmt.Append(nil, i), dsts[0])
	}
}

// TestFlowsApart: two clients and two dsts are four flows. Each origin socket
// answers its own client, from its own dst.
func TestFlowsApart(t *testing.T) {
	noLeaks(t)
	origin := newPeer(t, "127.0.0.1")
	p := serve(t, to(origin.addr()), "127.0.0.1", "127.0.0.2")
	clients := []peer{newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")}
	flows := map[netip.AddrPort]string{}
	for c, client := range clients {
		for d, dst := range p.dsts {
			name := fmt.Sprintf("client %d to dst %d", c, d)
			client.send([]byte(name), dst)
			got, from := origin.receive()
			if string(got) != name {
				t.Fatalf("the origin received %q, want %q", got, name)
			}
			flows[from] = name
		}
	}
	if len(flows) != 4 {
		t.Fatalf("%d flows at the origin, want 4", len(flows))
	}
	for from, name := range flows {
		origin.send([]byte(name), from)
	}
	for c, client := range clients {
		for range p.dsts {
			got, from := client.receive()
			want := fmt.Sprintf("client %d to dst %d", c, indexOf(p.dsts, from))
			if string(got) != want {
				t.Errorf("%q came from %v, which makes it %q", got, from, want)
			}
		}
	}
}

func indexOf(dsts []netip.AddrPort, a netip.AddrPort) int {
	for i, dst := range dsts {
		if dst == a {
			return i
		}
	}
	return -1
}

func TestProxyHeaders(t *testing.T) {
	noLeaks(t)
	for _, addr := range []string{"127.0.0.1", "::1"} {
		for _, test := range []struct {
			kind config.ProxyProtocol
			want []bool // whether the header stands before the datagram
		}{
			{config.ProxyV2, []bool{true, true, true}},
			{config.ProxyV2First, []bool{true, false, false}},
			{config.ProxySPP, []bool{true, true, true}},
		} {
			origin, client := newPeer(t, addr), newPeer(t, addr)
			r := to(origin.addr())
			r.ProxyProtocol = test.kind
			p := serve(t, r, addr)
			for i := range test.want {
				client.send([]byte{byte(i)}, p.dsts[0])
			}
			for i, headed := range test.want {
				got, _ := origin.receive()
				if headed {
					got = cutHeader(t, got, client.addr(), p.dsts[0])
				}
				if !bytes.Equal(got, []byte{byte(i)}) {
					t.Errorf("%s: datagram %d has the payload %x", test.kind, i, got)
				}
			}
		}
	}
}

// cutHeader reads a PROXY v2 or SPP header, checks whom it names, and returns the rest.
func cutHeader(t *testing.T, b []byte, client, dst netip.AddrPort) []byte {
	t.Helper()
	if gotClient, gotDst, payload, err := header.ParseSPP(b); err == nil {
		if gotClient != client || gotDst != dst {
			t.Errorf("the header names %v and %v, want %v and %v", gotClient, gotDst, client, dst)
		}
		return payload
	}
	reader := bufio.NewReader(bytes.NewReader(b))
	h, err := proxyproto.Read(reader)
	check(t, err)
	from, to, ok := h.UDPAddrs()
	if !ok || from.AddrPort() != client || to.AddrPort() != dst {
		t.Errorf("the header names %v and %v, want %v and %v", from, to, client, dst)
	}
	rest := make([]byte, reader.Buffered())
	_, _ = reader.Read(rest)
	return rest
}

func TestSPPReplies(t *testing.T) {
	noLeaks(t)
	origin, client := newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")
	r := to(origin.addr())
	r.ProxyProtocol = config.ProxySPP
	p := serve(t, r, "127.0.0.1")
	client.send([]byte("hello"), p.dsts[0])
	got, flow := origin.receive()
	own := got[:header.SPPSize]
	foreign, err := header.Datagram(config.ProxySPP, client2, p.dsts[0])
	check(t, err)
	for _, bad := range [][]byte{{}, []byte("no header, but long enough to hold a whole one"), own[:37], append(foreign, "stolen"...)} {
		origin.send(bad, flow)
	}
	origin.send(append(own[:38:38], "answer"...), flow)
	client.expect([]byte("answer"), p.dsts[0]) // and nothing before it
	if n := p.totals().Datagrams[route.ToClient][route.BadHeader]; n != 4 {
		t.Errorf("%d replies counted as %v, want 4", n, route.BadHeader)
	}
}

// TestOriginThatWasDown: its ICMP error is counted, and costs the flow neither a
// datagram of those that follow nor its life.
func TestOriginThatWasDown(t *testing.T) {
	noLeaks(t)
	client := newPeer(t, "127.0.0.1")
	gone := newPeer(t, "127.0.0.1")
	addr := gone.addr()
	check(t, gone.Close())
	p := serve(t, to(addr), "127.0.0.1")
	client.send([]byte("lost"), p.dsts[0])
	waitFor(t, "the ICMP error", func() bool { return p.totals().Datagrams[route.ToClient][route.OriginError] == 1 })

	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
	check(t, err)
	defer conn.Close()
	peer{t, conn}.echo()
	client.send([]byte("here again"), p.dsts[0])
	client.expect([]byte("here again"), p.dsts[0])
	p.stop()
	if r := p.record(t); r.ToOrigin != uint64(len("lost")+len("here again")) {
		t.Errorf("the record %+v is not that of the one flow", r)
	}
}

// TestPendingErrorEatsNoDatagram: an ICMP error that nobody has read yet fails
// the next send; the datagram is sent again.
func TestPendingErrorEatsNoDatagram(t *testing.T) {
	origin := newPeer(t, "127.0.0.1")
	var d dialer
	fd, err := d.dial(origin.addr(), nil)
	check(t, err)
	defer unix.Close(fd)
	check(t, origin.Close())
	check(t, unix.Send(fd, []byte("refused"), 0)) // on loopback the ICMP error is there when send returns
	again, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(origin.addr()))
	check(t, err)
	defer again.Close()

	var o outbox
	f, fl := sending(t, fd, config.ProxyOff)
	queue(t, &o, f, fl, "kept")
	o.flush()
	if got, _ := (peer{t, again}).receive(); string(got) != "kept" {
		t.Errorf("received %q", got)
	}
	counted := f.routes.Set().Routes[0].Stats.Totals().Datagrams
	if counted[route.ToOrigin][route.Forwarded] != 1 || counted[route.ToClient][route.OriginError] != 1 {
		t.Errorf("counted %v", counted)
	}
}

// TestOriginOutOfReach: an origin whose route is lost under way costs its flow the
// datagrams, counted, until it can be reached again.
func TestOriginOutOfReach(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	loseRoute := routeHere(t, "192.0.2.0/24")
	origin, client := newPeer(t, "192.0.2.1"), newPeer(t, "127.0.0.1")
	origin.echo()
	p := serve(t, to(origin.addr()), "127.0.0.1")
	client.send([]byte("before"), p.dsts[0])
	client.expect([]byte("before"), p.dsts[0])
	loseRoute()
	client.send([]byte("lost"), p.dsts[0])
	waitFor(t, "the lost datagram", func() bool { return p.totals().Datagrams[route.ToOrigin][route.SendFailed] == 1 })
	routeHere(t, "192.0.2.0/24")
	client.send([]byte("after"), p.dsts[0])
	client.expect([]byte("after"), p.dsts[0])
}

// TestSilentOriginHoldsUpNobody: an origin that reads nothing loses its own
// datagrams, not those of another flow.
func TestSilentOriginHoldsUpNobody(t *testing.T) {
	noLeaks(t)
	silent, client := newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")
	echo := newPeer(t, "127.0.0.1")
	echo.echo()
	r := to(silent.addr(), echo.addr())
	r.Balance = config.RoundRobin
	p := serve(t, r, "127.0.0.1")
	flooder := newPeer(t, "127.0.0.1") // the first flow: its origin is the silent one
	for range 500 {
		flooder.send(make([]byte, 8000), p.dsts[0])
	}
	waitFor(t, "the flood to begin its flow", func() bool { return p.live.Set().Routes[0].Stats.Active(config.UDP) == 1 })
	waitFor(t, "the flood to make room", func() bool {
		client.send([]byte("still there"), p.dsts[0])
		return p.totals().Datagrams[route.ToClient][route.Forwarded] > 0
	})
	client.expect([]byte("still there"), p.dsts[0])
}

// TestEvictedFlowKeepsItsDatagrams: with room for one flow, each datagram of two
// clients in turn ends the flow of the other, whose fd it then gets. What waits
// for the old owner must not leave through the new one.
func TestEvictedFlowKeepsItsDatagrams(t *testing.T) {
	noLeaks(t)
	origin := newPeer(t, "127.0.0.1")
	clients := []peer{newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")}
	listeners, dsts := listen(t, "127.0.0.1")
	r := to(origin.addr())
	r.ProxyProtocol = config.ProxySPP
	const n = batch / 2
	for i := range n { // all are there before the loop reads the first
		clients[i%2].send(nil, dsts[0])
	}
	p := serveOn(t, Options{Listeners: listeners, Routes: live(r, dsts...), MaxFlows: 1}, dsts)
	clientOf := map[netip.AddrPort]netip.AddrPort{}
	for range n {
		got, flow := origin.receive()
		client, _, _, err := header.ParseSPP(got)
		check(t, err)
		if before, ok := clientOf[flow]; ok && before != client {
			t.Errorf("%v and %v shared the flow from %v", before, client, flow)
		}
		clientOf[flow] = client
	}
	p.stop()
	if evicted := p.totals().Ended[config.UDP][route.Evicted]; evicted != n-1 {
		t.Errorf("%d flows gave way, want %d", evicted, n-1)
	}
}

// TestEventOfAClosedSocket: an event that was read before its flow ended is not
// taken for one of the flow that has the fd now.
func TestEventOfAClosedSocket(t *testing.T) {
	l := loop{listener: -1, wake: -1, byFD: []*flow{nil, {generation: 2}}}
	for _, event := range []unix.EpollEvent{{Fd: 0, Pad: 1}, {Fd: 1, Pad: 1}} {
		l.handle(event, 1) // to read would crash: the loop has no inbox
	}
}

func TestSourceAddress(t *testing.T) {
	noLeaks(t)
	origin := newPeer(t, "127.0.0.1")
	r := to(origin.addr())
	r.Source = []netip.Addr{netip.MustParseAddr("::1"), netip.MustParseAddr("127.0.0.7"), netip.MustParseAddr("127.0.0.8")}
	p := serve(t, r, "127.0.0.1")
	seen := map[netip.Addr]bool{}
	for range 2 {
		newPeer(t, "127.0.0.1").send([]byte("from where?"), p.dsts[0])
		_, from := origin.receive()
		seen[from.Addr()] = true
	}
	if !seen[r.Source[1]] || !seen[r.Source[2]] {
		t.Errorf("the origin was dialled from %v, want both sources of its family", seen)
	}
}

// TestDialItself: a free port of an absent origin may become the dialling socket's own.
func TestDialItself(t *testing.T) {
	fd := open(t, netip.MustParseAddr("127.0.0.1"))
	check(t, unix.Bind(fd, unixAddr(netip.MustParseAddrPort("127.0.0.1:0"))))
	var d dialer
	if err := d.connect(fd, boundTo(t, fd), nil); !errors.Is(err, errItself) {
		t.Errorf("got %v, want %v", err, errItself)
	}
}

func TestIdleFlowEnds(t *testing.T) {
	noLeaks(t)
	origin, client := newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")
	origin.echo()
	r := to(origin.addr())
	r.UDPIdle = 20 * time.Millisecond
	p := serve(t, r, "127.0.0.1")
	client.send([]byte("once"), p.dsts[0])
	client.expect([]byte("once"), p.dsts[0])
	got := p.record(t)
	if got.Took < r.UDPIdle {
		t.Errorf("ended after %v", got.Took)
	}
	want := route.Record{
		Begun: got.Begun, Took: got.Took, Protocol: config.UDP, Route: "test", Client: client.addr(), Dst: p.dsts[0],
		Origin: origin.addr(), ToOrigin: 4, ToClient: 4, Verdict: route.IdleTimedOut,
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestStop: live flows go on while the proxy drains, new ones are refused.
func TestStop(t *testing.T) {
	noLeaks(t)
	origin, client := newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")
	origin.echo()
	r := to(origin.addr())
	r.Drain = time.Hour
	p := serve(t, r, "127.0.0.1")
	client.send([]byte("before"), p.dsts[0])
	client.expect([]byte("before"), p.dsts[0])
	stopped := make(chan struct{})
	go func() { p.stop(); close(stopped) }()
	waitFor(t, "a new flow to be refused", func() bool {
		newPeer(t, "127.0.0.1").send([]byte("late"), p.dsts[0])
		client.send([]byte("go on"), p.dsts[0])
		client.expect([]byte("go on"), p.dsts[0])
		return p.totals().Ended[config.UDP][route.Draining] > 0
	})
	<-stopped // the flow has been quiet for long enough, and its drain timeout is an hour away
	waitFor(t, "the client's record", func() bool {
		r := p.record(t)
		return r.Client == client.addr() && r.Verdict == route.IdleTimedOut
	})
}

// TestKernelDrops: what did not fit into the listener's receive buffer is counted.
func TestKernelDrops(t *testing.T) {
	noLeaks(t)
	origin, client := newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")
	listeners, dsts := listen(t, "127.0.0.1")
	check(t, unix.SetsockoptInt(listeners[0], unix.SOL_SOCKET, unix.SO_RCVBUF, 1)) // the kernel makes it 2,304
	for range 100 {
		client.send(make([]byte, 1000), dsts[0])
	}
	p := serveOn(t, Options{Listeners: listeners, Routes: live(to(origin.addr()), dsts...)}, dsts)
	waitFor(t, "the queue to be read", func() bool { return p.totals().Datagrams[route.ToOrigin][route.Forwarded] > 0 })
	waitFor(t, "the count of what was lost", func() bool {
		client.send([]byte("the count comes with the next datagram"), dsts[0])
		lost := p.live.Unrouted.Totals().Datagrams[route.ToOrigin][route.Overflowed]
		return lost > 0 && lost < 100
	})
}

// TestErrorQueue: an error that waits on the listener is read, or epoll would
// report it again and again.
func TestErrorQueue(t *testing.T) {
	fds, dsts := listen(t, "127.0.0.1")
	check(t, unix.SetsockoptInt(fds[0], unix.SOL_IP, unix.IP_RECVERR, 1))
	gone := newPeer(t, "127.0.0.1")
	check(t, gone.Close())
	check(t, unix.Sendto(fds[0], []byte("nobody is there"), 0, unixAddr(gone.addr())))
	if poll(t, fds[0])&unix.POLLERR == 0 {
		t.Fatalf("%v has no error to read", dsts[0])
	}
	l := loop{listener: fds[0]}
	l.clearErrors()
	if got := poll(t, fds[0]); got&unix.POLLERR != 0 {
		t.Errorf("events %#x after the errors were read", got)
	}
}

// poll returns the events of fd.
func poll(t *testing.T, fd int) int16 {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	_, err := unix.Poll(fds, 0)
	check(t, err)
	return fds[0].Revents
}
