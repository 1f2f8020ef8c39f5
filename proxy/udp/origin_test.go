package udp

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/call"
	"anyport/proxy/datagram"
	"anyport/proxy/route"
)

// TestOriginThatWasDown: its ICMP error is counted, mirrored where that is wanted, and costs the flow neither a
// datagram of those that follow nor its life.
func TestOriginThatWasDown(t *testing.T) {
	noLeaks(t)
	client := newPeer(t, "127.0.0.1")
	gone := newPeer(t, "127.0.0.1")
	addr := gone.addr()
	check(t, gone.Close())
	listeners, dsts := listen(t, "127.0.0.1")
	r, mirrored := to(addr), make(chan netip.AddrPort, 10)
	r.MirrorClosed = true
	mirror := func(_ config.Protocol, dst netip.AddrPort) { mirrored <- dst }
	p := serveOn(t, Options{Listeners: listeners, Routes: live(r, dsts...), Mirror: mirror}, dsts)
	client.send([]byte("lost"), p.dsts[0])
	waitFor(t, "the ICMP error", func() bool { return p.totals().Datagrams[route.ToClient][route.OriginError] == 1 })

	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
	check(t, err)
	defer conn.Close()
	peer{t, conn}.echo()
	client.send([]byte("here again"), p.dsts[0])
	client.expect([]byte("here again"), p.dsts[0])
	p.stop()
	if len(mirrored) != 1 || <-mirrored != p.dsts[0] {
		t.Errorf("mirrored %d times, or another dst; want %v, once", len(mirrored), p.dsts[0])
	}
	if r := p.record(t); r.Sent[route.ToOrigin].Bytes != uint64(len("lost")+len("here again")) {
		t.Errorf("the record %+v is not that of the one flow", r)
	}
}

// TestPendingErrorLosesNoDatagram: an ICMP error that has not been read yet fails
// the next send; the datagram is sent again.
func TestPendingErrorLosesNoDatagram(t *testing.T) {
	origin := newPeer(t, "127.0.0.1")
	var d datagram.Dialer
	fd, err := d.Dial(origin.addr(), nil)
	check(t, err)
	defer unix.Close(fd)
	check(t, origin.Close())
	check(t, unix.Send(fd, []byte("refused"), 0)) // on loopback the ICMP error is there when send returns
	again, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(origin.addr()))
	check(t, err)
	defer again.Close()

	var q sendQueue
	f, fl := sending(t, fd, config.ProxyOff)
	submit(t, &q, f, fl, "kept")
	q.flush()
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

// TestSilentOriginDelaysNoOtherFlow: an origin that reads nothing loses its own
// datagrams, not those of another flow.
func TestSilentOriginDelaysNoOtherFlow(t *testing.T) {
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

func TestSourceAddress(t *testing.T) {
	noLeaks(t)
	origin := newPeer(t, "127.0.0.1")
	r := to(origin.addr())
	r.Source = []netip.Addr{netip.MustParseAddr("::1"), netip.MustParseAddr("127.0.0.7"), netip.MustParseAddr("127.0.0.8")}
	p := serve(t, r, "127.0.0.1")
	seen := map[netip.Addr]bool{}
	for range 6 {
		newPeer(t, "127.0.0.1").send([]byte("from where?"), p.dsts[0])
		_, from := origin.receive()
		seen[from.Addr()] = true
	}
	if len(seen) != 2 || !seen[r.Source[1]] || !seen[r.Source[2]] {
		t.Errorf("the origin was dialled from %v, want both sources of its family", seen)
	}
}

// TestDialItself: the only port that the kernel can give to the socket is the one that it dials, on this
// host, where nobody listens.
func TestDialItself(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	check(t, os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("50000 50000"), 0))
	var d datagram.Dialer
	if _, err := d.Dial(netip.MustParseAddrPort("127.0.0.1:50000"), nil); !errors.Is(err, call.ErrItself) {
		t.Errorf("got %v, want %v", err, call.ErrItself)
	}
}

// TestOutOfPorts: with all ports taken, the error says so, whether the source
// address is the kernel's choice or the route's.
func TestOutOfPorts(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	check(t, os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("50000 50009"), 0))
	if got := MaxSockets(); got != 7 {
		t.Errorf("MaxSockets is %d with ten ports, want 7", got)
	}
	loopback := netip.MustParseAddr("127.0.0.1")
	other, removed := netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("192.0.2.9")
	for _, c := range []struct {
		sources []netip.Addr
		sockets int
	}{
		{nil, 10},
		{[]netip.Addr{loopback}, 10},
		{[]netip.Addr{loopback, other}, 20},
		{[]netip.Addr{loopback, removed}, 10},
	} {
		sources := c.sources
		var d datagram.Dialer
		var fds []int
		for {
			fd, err := d.Dial(netip.AddrPortFrom(loopback, 9), sources)
			if err == nil {
				fds = append(fds, fd)
				continue
			}
			if !errors.Is(err, call.ErrNoPort) && !slices.Contains(sources, removed) {
				t.Errorf("from %v: %v", sources, err)
			}
			break
		}
		if len(fds) != c.sockets {
			t.Errorf("from %v: %d sockets with ten ports, want %d", sources, len(fds), c.sockets)
		}
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
}

func unixAddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}
