package udp

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRawAnswers: a wildcard socket without SO_REUSEADDR holds the port, so no
// reply socket can be bound, and raw ones answer: for many dsts of both families
// on one listener, each from its own dst, whatever the size.
func TestRawAnswers(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	noLeaks(t)
	setMTU(t, 1500)
	routeHere(t, "192.0.2.0/24")
	routeHere(t, "2001:db8:1::/64")
	listener, port := openForAll(t)
	for _, hosts := range []struct{ local, dsts string }{{"127.0.0.1", "192.0.2.%d"}, {"::1", "2001:db8:1::%d"}} {
		var dsts []netip.AddrPort
		for i := range 2 {
			dsts = append(dsts, netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf(hosts.dsts, i+1)), port))
		}
		origin := newPeer(t, hosts.local)
		origin.echo()
		p := serveOn(t, Options{Listeners: []int{listener}, Routes: live(to(origin.addr()), dsts...)}, dsts)
		clients := []peer{newPeer(t, hosts.local), newPeer(t, hosts.local)}
		for _, size := range []int{0, 1, 1472, 1473, 65507} {
			exchange(t, clients, dsts, size)
		}
		p.stop() // the next one has the listener to itself
	}
}

// exchange sends from each client to each dst, then looks who answers.
func exchange(t *testing.T, clients []peer, dsts []netip.AddrPort, size int) {
	t.Helper()
	for c, client := range clients {
		want := map[netip.AddrPort]byte{}
		for d, dst := range dsts {
			want[dst] = byte('a' + 2*c + d)
			client.send(bytes.Repeat([]byte{want[dst]}, size), dst)
		}
		for range dsts {
			got, from := client.receive()
			if mark, ok := want[from]; !ok || !bytes.Equal(got, bytes.Repeat([]byte{mark}, size)) {
				t.Errorf("client %d received %d bytes %.10q from %v, want %d of %q", c, len(got), got, from, size, mark)
			}
			delete(want, from)
		}
	}
}

// openForAll opens a listener for both families on all addresses.
func openForAll(t *testing.T) (fd int, port uint16) {
	t.Helper()
	fd = open(t, netip.IPv6Unspecified())
	check(t, unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_V6ONLY, 0))
	check(t, unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_RECVORIGDSTADDR, 1))
	check(t, unix.Bind(fd, unixAddr(netip.AddrPortFrom(netip.IPv6Unspecified(), 0))))
	return fd, boundTo(t, fd).Port()
}
