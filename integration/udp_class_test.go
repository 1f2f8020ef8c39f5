package integration

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// classes are bytes of DSCP and ECN: Not-ECT, ECT(1), ECT(0) and CE (RFC 3168 §5), EF and AF41
// (RFC 3246, RFC 2597), and EF with CE.
var classes = []int{0, 1, 2, 3, 46 << 2, 34 << 2, 46<<2 | 3}

// classed is a UDP socket that reads the class of each datagram that it receives, and sets
// the class of those that it sends.
type classed struct {
	*testing.T
	*net.UDPConn
	four bool
}

func newClassed(t *testing.T, conn *net.UDPConn) classed {
	t.Helper()
	c := classed{t, conn, addrPort(conn.LocalAddr()).Addr().Unmap().Is4()}
	if c.four {
		c.set(unix.SOL_IP, unix.IP_RECVTOS, 1)
	} else {
		c.set(unix.SOL_IPV6, unix.IPV6_RECVTCLASS, 1)
	}
	return c
}

func (c classed) set(level, option, value int) {
	c.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		c.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, option, value) })
	if err != nil {
		c.Fatal(err)
	}
}

// send sends b to the socket's peer, or where to says; cut into datagrams of a size if it is not 0.
func (c classed) send(b []byte, size, class int, to netip.AddrPort) {
	c.Helper()
	if c.four {
		c.set(unix.SOL_IP, unix.IP_TOS, class)
	} else {
		c.set(unix.SOL_IPV6, unix.IPV6_TCLASS, class)
	}
	c.set(unix.SOL_UDP, unix.UDP_SEGMENT, size)
	var err error
	if to.IsValid() {
		_, err = c.WriteToUDPAddrPort(b, to)
	} else {
		_, err = c.Write(b)
	}
	if err != nil {
		c.Fatal(err)
	}
}

// receive waits for a datagram, and returns it, its class and who sent it.
func (c classed) receive() (b []byte, class int, from netip.AddrPort) {
	c.Helper()
	b, control := make([]byte, 1<<16), make([]byte, 256)
	n, controls, _, from, err := c.ReadMsgUDPAddrPort(b, control)
	if err != nil {
		c.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(control[:controls])
	if err != nil {
		c.Fatal(err)
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.SOL_IP && m.Header.Type == unix.IP_TOS:
			class = int(m.Data[0])
		case m.Header.Level == unix.SOL_IPV6 && m.Header.Type == unix.IPV6_TCLASS:
			class = int(binary.NativeEndian.Uint32(m.Data))
		}
	}
	return b[:n], class, from
}

// TestClass checks that DSCP and ECN pass unchanged in both directions, of single
// datagrams and of trains, over every kind of path to the origin and back.
func TestClass(t *testing.T) { onBothPaths(t, passesClass) }

func passesClass(t *testing.T, r *rig) {
	r.origin.route(t, "10.9.0.0/24", "10.0.0.1")
	r.origin.route(t, "fd00:9::/64", "fd00:5::1")
	toml := ""
	for i, how := range []string{`proxy_protocol = "off"`, `proxy_protocol = "v2"`, `proxy_protocol = "spp"`, `egress_prefixes = ["10.9.0.0/24", "fd00:9::/64"]`} {
		toml += fmt.Sprintf(`
[route.four%d]
protocol = "udp"
prefixes = ["192.0.2.%d"]
origins  = ["10.0.0.5:%d"]
anti_amplification = false
%s
[route.six%d]
protocol = "udp"
prefixes = ["2001:db8:1::%d"]
origins  = ["[fd00:5::5]:%d"]
anti_amplification = false
%s
`, i, i+1, 4000+i, how, i, i+1, 4000+i, how)
	}
	r.edge.holdPort(t, "4712") // what is asked there is answered through a raw socket
	r.edge.serveWith(t, toml)
	for i := range 4 {
		for _, family := range []struct{ origin, dst string }{{"10.0.0.5", "192.0.2.%d"}, {"[fd00:5::5]", "[2001:db8:1::%d]"}} {
			origin := newClassed(t, r.origin.listenPacket(t, fmt.Sprint(family.origin, ":", 4000+i)))
			for _, port := range []int{4711, 4712} {
				conn := r.client.dialUDP(t, fmt.Sprintf(family.dst+":%d", i+1, port))
				client := newClassed(t, conn)
				passClasses(t, client, origin, i == 2)
				passBurst(t, client, origin, i == 2)
			}
		}
	}
}

// holdPort opens a wildcard socket of another process on a port.
func (h *host) holdPort(t *testing.T, port string) { h.listenPacket(t, ":"+port) }

// passClasses sends datagrams of each class there and back.
func passClasses(t *testing.T, client, origin classed, spp bool) {
	t.Helper()
	origin.SetDeadline(time.Now().Add(patience))
	for _, size := range []int{0, 100} {
		for i, class := range classes {
			back := classes[len(classes)-1-i]
			count := 1
			if size > 0 {
				count = 5
			}
			client.send(make([]byte, count*100), size, class, netip.AddrPort{})
			var question []byte
			var flow netip.AddrPort
			for range count {
				var got int
				if question, got, flow = origin.receive(); got != class {
					t.Errorf("%v: sent with class %#x in trains of %d, the origin got %#x", client.RemoteAddr(), class, size, got)
				}
			}
			answer := make([]byte, 100)
			if spp {
				answer = append(question[:38:38], answer...)
			}
			train := []byte{}
			for range count {
				train = append(train, answer...)
			}
			origin.send(train, min(size, 1)*len(answer), back, flow)
			for range count {
				if _, got, _ := client.receive(); got != back {
					t.Errorf("%v: answered with class %#x in trains of %d, the client got %#x", client.RemoteAddr(), back, size, got)
				}
			}
		}
	}
}

// passBurst sends datagrams of one size and many classes at once: none may get the class of
// its neighbour in a train.
func passBurst(t *testing.T, client, origin classed, spp bool) {
	t.Helper()
	const count = 60
	for i := range count {
		client.send(make([]byte, 100), 0, classes[i%len(classes)], netip.AddrPort{})
	}
	for i := range count {
		question, got, flow := origin.receive()
		if want := classes[i%len(classes)]; got != want {
			t.Errorf("%v: datagram %d of a burst has class %#x, want %#x", client.RemoteAddr(), i, got, want)
		}
		if !spp {
			question = question[:100]
		}
		origin.send(question, 0, got, flow)
	}
	for i := range count {
		if _, got, _ := client.receive(); got != classes[i%len(classes)] {
			t.Errorf("%v: answer %d of a burst has class %#x, want %#x", client.RemoteAddr(), i, got, classes[i%len(classes)])
		}
	}
}

func (h *host) dialUDP(t *testing.T, address string) *net.UDPConn {
	t.Helper()
	return h.dial(t, "udp", address).(*net.UDPConn)
}
