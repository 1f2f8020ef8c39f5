package integration

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestWhatStays checks what of a client's datagrams is not passed on: the TTL or hop
// limit. The origin gets the edge's own, whatever the client's was, and vice versa.
func TestWhatStays(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.edge.serveWith(t, relayFile)
	for _, family := range []struct {
		dst, origin               string
		level, set, want, receive int
	}{
		{"192.0.2.7:4711", "10.0.0.5:4711", unix.SOL_IP, unix.IP_TTL, unix.IP_TTL, unix.IP_RECVTTL},
		{"[2001:db8:1::7]:4711", "[fd00:5::5]:4711", unix.SOL_IPV6, unix.IPV6_UNICAST_HOPS, unix.IPV6_HOPLIMIT, unix.IPV6_RECVHOPLIMIT},
	} {
		origin := newClassed(t, r.origin.listenPacket(t, family.origin))
		origin.set(family.level, family.receive, 1)
		origin.set(family.level, family.set, 9)
		client := newClassed(t, r.client.dialUDP(t, family.dst))
		client.set(family.level, family.receive, 1)
		client.set(family.level, family.set, 7)
		client.send([]byte("question"), 0, 0, netip.AddrPort{})
		flow := origin.expectHops(t, family.level, family.want)
		origin.send([]byte("answer"), 0, 0, flow)
		client.expectHops(t, family.level, family.want)
	}
}

// expectHops waits for a datagram that has the TTL of a host next door.
func (c classed) expectHops(t *testing.T, level, kind int) (from netip.AddrPort) {
	t.Helper()
	b, control := make([]byte, 100), make([]byte, 256)
	_, n, _, from, err := c.ReadMsgUDPAddrPort(b, control)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		if int(m.Header.Level) == level && int(m.Header.Type) == kind {
			if hops := binary.NativeEndian.Uint32(m.Data); hops != 64 {
				t.Errorf("%v → %v: a TTL of %d, want the host's own 64", from, c.LocalAddr(), hops)
			}
			return from
		}
	}
	t.Errorf("no TTL in %v", messages)
	return from
}

// TestOriginsErrors checks that the client sees no ICMP errors from the origin's side:
// of a closed port, and of a path with a smaller MTU, for which the edge fragments from
// then on.
func TestOriginsErrors(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	far := r.beyond(t)
	r.edge.serveWith(t, `
[route.four]
protocol = "udp"
prefixes = ["192.0.2.0/24"]
origins  = ["10.8.0.2"]
[route.six]
protocol = "udp"
prefixes = ["2001:db8:1::/48"]
origins  = ["fd00:8::2"]
`)
	for _, dst := range []string{dstV4, "[" + dstV6 + "]"} {
		if got := r.client.ask("udp", netip.MustParseAddrPort(dst+":4000"), silent); got != silent {
			t.Errorf("%s, a closed port: %s", dst, got)
		}
		origin := map[bool]string{true: "[fd00:8::2]:4711", false: "10.8.0.2:4711"}[strings.HasPrefix(dst, "[")]
		far.answer(t, origin, bytes.Clone)
		conn := r.client.dialUDP(t, dst+":4711")
		newClassed(t, conn).dontFragment()
		question := bytes.Repeat([]byte("?"), 1440)
		eventually(t, dst+": a datagram longer than the path's MTU arrives", func() bool {
			if _, err := conn.Write(question); err != nil {
				t.Fatalf("%s: the client got the error: %v", dst, err)
			}
			conn.SetReadDeadline(time.Now().Add(silence))
			n, err := conn.Read(make([]byte, 1500))
			return err == nil && n == len(question)
		})
	}
}

// dontFragment has the client's kernel set DF, and tell of errors.
func (c classed) dontFragment() {
	if c.four {
		c.set(unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO)
	} else {
		c.set(unix.SOL_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DO)
	}
}

// TestClientsPath checks that answers longer than the MTU of the client's path are
// fragmented from the second one on: the ICMP error, which no socket waits for, tells
// the edge's kernel the path's MTU.
func TestClientsPath(t *testing.T) { onBothPaths(t, learnsClientsPath) }

func learnsClientsPath(t *testing.T, r *rig) {
	far := newHost(t, "far")
	join(t, r.client.port("far0", "198.18.0.1/24", "2001:db8:d::1/64"), far.port("client0", "198.18.0.2/24", "2001:db8:d::2/64"))
	r.client.sysctl(t, map[string]string{"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1"})
	r.client.run(t, "ip link set far0 mtu 1300")
	far.run(t, "ip link set client0 mtu 1300")
	far.route(t, "0.0.0.0/0", "198.18.0.1")
	far.route(t, "::/0", "2001:db8:d::1")
	r.edge.route(t, "198.18.0.0/24", clientV4)
	r.edge.route(t, "2001:db8:d::/64", clientV6)
	answer := bytes.Repeat([]byte("!"), 1440)
	for _, origin := range []string{"10.0.0.5:4711", "[fd00:5::5]:4711"} {
		r.origin.answer(t, origin, func(question []byte) []byte {
			if string(question) != "question" {
				return question
			}
			return answer
		})
	}
	r.edge.serveWith(t, relayFile)
	for _, dst := range []string{dstV4, "[" + dstV6 + "]"} {
		conn := far.dialUDP(t, dst+":4711")
		warm(t, conn)
		eventually(t, dst+": an answer longer than the path's MTU arrives", func() bool {
			conn.Write([]byte("question"))
			conn.SetReadDeadline(time.Now().Add(silence))
			n, err := conn.Read(make([]byte, 1500))
			return err == nil && n == len(answer)
		})
	}
}

// beyond makes a host behind the origin, which routes to it over a link with an MTU of 1,300 bytes.
func (r *rig) beyond(t *testing.T) (far *host) {
	t.Helper()
	far = newHost(t, "far")
	join(t, r.origin.port("far0", "10.8.0.1/24", "fd00:8::1/64"), far.port("origin0", "10.8.0.2/24", "fd00:8::2/64"))
	r.origin.sysctl(t, map[string]string{"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1"})
	r.origin.run(t, "ip link set far0 mtu 1300")
	far.run(t, "ip link set origin0 mtu 1300")
	for _, h := range []struct {
		host     *host
		via, v6  string
		prefixes []string
	}{
		{r.edge, originV4, originV6, []string{"10.8.0.0/24", "fd00:8::/64"}},
		{far, "10.8.0.1", "fd00:8::1", []string{"10.0.0.0/24", "fd00:5::/64"}},
	} {
		h.host.route(t, h.prefixes[0], h.via)
		h.host.route(t, h.prefixes[1], h.v6)
	}
	return far
}
