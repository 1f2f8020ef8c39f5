package demo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	proxyproto "github.com/pires/go-proxyproto"
)

// relay answers at a port of 127.0.0.1 as anyport does, by asking the demo's origin with a PROXY
// header; spoil may change what the origin is told.
func relay(t *testing.T, spoil func(client, dst netip.AddrPort) (netip.AddrPort, netip.AddrPort)) (tcp, udp netip.AddrPort) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	o, err := listen(freePort(t))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- o.serve(ctx) }() // ended by cancel
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		listener.Close()
		socket.Close()
		if err := <-served; err != nil {
			t.Errorf("the origin: %v", err)
		}
	})
	go relayTCP(listener, o, spoil) // ended by Close
	go relayUDP(socket, o, spoil)   // ended by Close
	return addrPort(listener.Addr()), addrPort(socket.LocalAddr())
}

func addrPort(a net.Addr) netip.AddrPort { return netip.MustParseAddrPort(a.String()) }

// freePort is one of 127.0.0.1 that is free over TCP and UDP, as far as that can be known.
func freePort(t *testing.T) netip.AddrPort {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at := addrPort(l.Addr())
		l.Close()
		if u, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at)); err == nil {
			u.Close()
			return at
		}
	}
}

func header(client, dst netip.AddrPort) []byte {
	text, err := proxyproto.HeaderProxyFromAddrs(2, net.TCPAddrFromAddrPort(client), net.TCPAddrFromAddrPort(dst)).Format()
	if err != nil {
		panic(err)
	}
	return text
}

func headerUDP(client, dst netip.AddrPort) []byte {
	text, err := proxyproto.HeaderProxyFromAddrs(2, net.UDPAddrFromAddrPort(client), net.UDPAddrFromAddrPort(dst)).Format()
	if err != nil {
		panic(err)
	}
	return text
}

func relayTCP(l net.Listener, o *origin, spoil func(client, dst netip.AddrPort) (netip.AddrPort, netip.AddrPort)) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		line, err := bufio.NewReader(conn).ReadBytes('\n')
		if err != nil {
			conn.Close()
			continue
		}
		to, err := net.Dial("tcp", o.tcp.Addr().String())
		if err != nil {
			conn.Close()
			continue
		}
		_, _ = to.Write(append(header(spoil(addrPort(conn.RemoteAddr()), addrPort(conn.LocalAddr()))), line...))
		answer, _ := bufio.NewReader(to).ReadBytes('\n')
		_, _ = conn.Write(answer)
		to.Close()
		conn.Close()
	}
}

// relayUDP loses the first datagram.
func relayUDP(socket *net.UDPConn, o *origin, spoil func(client, dst netip.AddrPort) (netip.AddrPort, netip.AddrPort)) {
	b := make([]byte, 2048)
	for n := 0; ; n++ {
		size, from, err := socket.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		if n == 0 {
			continue
		}
		to, err := net.Dial("udp", o.udp.LocalAddr().String())
		if err != nil {
			return
		}
		_ = to.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = to.Write(append(headerUDP(spoil(from, addrPort(socket.LocalAddr()))), b[:size]...))
		answer := make([]byte, 2048)
		got, _ := to.Read(answer)
		to.Close()
		_, _ = socket.WriteToUDPAddrPort(answer[:got], from)
	}
}

func honest(client, dst netip.AddrPort) (netip.AddrPort, netip.AddrPort) { return client, dst }

// TestAsk goes from a client through a relay to the demo's origin and back, over both protocols; a lost
// datagram is sent again.
func TestAsk(t *testing.T) {
	tcp, udp := relay(t, honest)
	for network, dst := range map[string]netip.AddrPort{"tcp": tcp, "udp": udp} {
		a, err := newAsker(network, netip.MustParseAddr("127.0.0.1"))
		if err != nil {
			t.Fatal(err)
		}
		defer a.close()
		for range 3 {
			got, err := a.ask(t.Context(), dst, question(dst))
			if err != nil || got.dst != dst || got.client.Addr() != netip.MustParseAddr("127.0.0.1") {
				t.Errorf("%s: %+v, %v", network, got, err)
			}
		}
	}
}

// TestAskFinds: an origin that is told another client or another dst does not pass for right.
func TestAskFinds(t *testing.T) {
	other := netip.MustParseAddrPort("127.0.0.1:9")
	for name, spoil := range map[string]func(client, dst netip.AddrPort) (netip.AddrPort, netip.AddrPort){
		"client": func(_, dst netip.AddrPort) (netip.AddrPort, netip.AddrPort) { return other, dst },
		"dst":    func(client, _ netip.AddrPort) (netip.AddrPort, netip.AddrPort) { return client, other },
	} {
		tcp, udp := relay(t, spoil)
		for network, dst := range map[string]netip.AddrPort{"tcp": tcp, "udp": udp} {
			a, err := newAsker(network, netip.MustParseAddr("127.0.0.1"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = a.ask(t.Context(), dst, question(dst))
			a.close()
			if err == nil || !strings.Contains(err.Error(), "received "+name) && !strings.Contains(err.Error(), "the answer for 127.0.0.1:9 came from") {
				t.Errorf("another %s over %s: %v", name, network, err)
			}
		}
	}
}

// TestNobodyAnswers: no answer is an error that says so, and the end of the demo ends the wait.
func TestNobodyAnswers(t *testing.T) {
	silent, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	a, err := newAsker("udp", netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := a.ask(ctx, addrPort(silent.LocalAddr()), "hello"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the end", err)
	}
	gone := freePort(t)
	tcp, err := newAsker("tcp", netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tcp.ask(t.Context(), gone, "hello"); err == nil {
		t.Error("an answer from a port where nobody listens")
	}
}

// TestOriginWithoutHeader: whoever comes to the origin past anyport is told so, and it serves on.
func TestOriginWithoutHeader(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o, err := listen(freePort(t))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- o.serve(ctx) }() // ended by cancel
	for range 2 {
		conn, err := net.Dial("tcp", o.tcp.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(conn, "hello, this is no PROXY header")
		if line, err := bufio.NewReader(conn).ReadString('\n'); !strings.HasPrefix(line, "no PROXY header: ") {
			t.Errorf("%q, %v", line, err)
		}
		conn.Close()
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if second, err := listen(addrPort(o.tcp.Addr())); err != nil {
		t.Errorf("its ports are not free afterwards: %v", err)
	} else {
		second.tcp.Close()
		second.udp.Close()
	}
}

// TestOriginPortTaken: the error names the part of the demo, and no socket is left open.
func TestOriginPortTaken(t *testing.T) {
	at := freePort(t)
	taken, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if o, err := listen(at); err == nil || !strings.Contains(err.Error(), "the demo's origin: ") {
		t.Errorf("%v, %v", o, err)
	}
	l, err := net.Listen("tcp", at.String())
	if err != nil {
		t.Errorf("the TCP port is left open: %v", err)
	} else {
		l.Close()
	}
}

// TestSweepPorts: every port is handed out once, whatever part of them is swept.
func TestSweepPorts(t *testing.T) {
	for _, test := range []struct{ first, last uint16 }{{1, 65535}, {7, 7}, {65535, 65535}, {65530, 65535}} {
		s := &sweep{first: test.first, last: test.last}
		if got, want := s.ports(), int(test.last)-int(test.first)+1; got != want {
			t.Errorf("%d-%d are %d ports, want %d", test.first, test.last, got, want)
		}
		asked := 0
		for {
			port := uint32(s.first) + s.next.Add(1) - 1
			if port > uint32(s.last) {
				break
			}
			asked++
		}
		if asked != s.ports() {
			t.Errorf("%d-%d: %d ports are asked of %d", test.first, test.last, asked, s.ports())
		}
	}
}

func TestIndent(t *testing.T) {
	if got := indent("a\n\nb\n"); got != "  a\n\n  b\n" {
		t.Errorf("%q", got)
	}
}

// TestProgressOfNoTerminal: a file gets the last line only.
func TestProgressOfNoTerminal(t *testing.T) {
	var out bytes.Buffer
	s := &sweep{network: "tcp", addr: swept[0], first: 1, last: 2}
	stop := follow(s, &out)
	if out.Len() > 0 {
		t.Errorf("a file gets %q before the end", out.String())
	}
	stop()
	if lines := strings.Count(out.String(), "\n"); lines != 1 || strings.Contains(out.String(), "\r") {
		t.Errorf("a file gets %q", out.String())
	}
}
