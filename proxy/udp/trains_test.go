package udp

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/datagram"
	"anyport/proxy/internal/proxytest"
	"anyport/proxy/route"
)

// sendTrain has the kernel cut b into datagrams of size.
func (p peer) sendTrain(b []byte, size int, to netip.AddrPort) {
	p.Helper()
	control := binary.NativeEndian.AppendUint64(nil, uint64(unix.CmsgLen(2)))
	control = binary.NativeEndian.AppendUint32(control, unix.SOL_UDP)
	control = binary.NativeEndian.AppendUint32(control, unix.UDP_SEGMENT)
	control = binary.NativeEndian.AppendUint64(control, uint64(size))
	_, _, err := p.WriteMsgUDPAddrPort(b, control, to)
	check(p.T, err)
}

// expectAll waits for datagrams, which must be these in their order.
func (p peer) expectAll(want [][]byte, from netip.AddrPort) {
	p.Helper()
	for i, datagram := range want {
		got, sender := p.receive()
		if !bytes.Equal(got, datagram) || sender != from {
			p.Fatalf("datagram %d of %d: %d bytes %.20q from %v, want %d bytes %.20q from %v",
				i, len(want), len(got), got, sender, len(datagram), datagram, from)
		}
	}
}

// trains are sizes of datagrams that come as one train.
var trains = [][]int{
	{1}, {1, 1}, {100, 99}, {1200, 1200, 1}, proxytest.Repeated(1, 64), proxytest.Repeated(1200, 50), append(proxytest.Repeated(1000, 20), 7), proxytest.Repeated(1340, 48),
}

// TestTrains: what comes as a train arrives as its datagrams, there and back, with
// every kind of header.
func TestTrains(t *testing.T) {
	noLeaks(t)
	for _, addr := range []string{"127.0.0.1", "::1"} {
		for _, kind := range []config.ProxyProtocol{config.ProxyOff, config.ProxyV2, config.ProxyV2First, config.ProxySPP} {
			origin, client := newPeer(t, addr), newPeer(t, addr)
			r := to(origin.addr())
			r.ProxyProtocol = kind
			p := serve(t, r, addr)
			for i, sizes := range trains {
				there := proxytest.Random(sizes...)
				client.sendTrain(bytes.Join(there, nil), sizes[0], p.dsts[0])
				flow, own := receiveAll(t, origin, there, client.addr(), p.dsts[0], headed(kind, i))
				back := proxytest.Random(sizes...)
				var train []byte
				for _, b := range back {
					train = append(append(train, own...), b...)
				}
				if len(train) > datagram.MaxTrain {
					continue
				}
				origin.sendTrain(train, len(own)+sizes[0], flow)
				client.expectAll(back, p.dsts[0])
			}
		}
	}
}

// headed reports for how many datagrams of train i a header is wanted; -1 = all.
func headed(kind config.ProxyProtocol, i int) int {
	switch {
	case kind == config.ProxyOff, kind == config.ProxyV2First && i > 0:
		return 0
	case kind == config.ProxyV2First:
		return 1
	}
	return -1
}

// receiveAll waits for datagrams at the origin. It returns where they came from, and
// the SPP header of the last.
func receiveAll(t *testing.T, origin peer, want [][]byte, client, dst netip.AddrPort, headed int) (flow netip.AddrPort, own []byte) {
	t.Helper()
	for i, datagram := range want {
		got, from := origin.receive()
		payload := got
		if i < headed || headed < 0 {
			payload = cutHeader(t, got, client, dst)
		}
		if !bytes.Equal(payload, datagram) {
			t.Fatalf("datagram %d of %d: %d bytes, want %d others", i, len(want), len(payload), len(datagram))
		}
		if head := got[:len(got)-len(payload)]; len(head) > 0 && head[0] == 0x56 {
			own = bytes.Clone(head)
		}
		flow = from
	}
	return flow, own
}

// TestTrainsNeedNoFragments is TestTrains where a header makes some datagrams too long for
// the path: these leave one by one, in fragments.
func TestTrainsNeedNoFragments(t *testing.T) {
	if inNamespace(t) {
		setMTU(t, 1400)
		TestTrains(t)
	}
}

// TestRefusedTrain: where the kernel refuses trains, datagrams go one by one, and
// none is lost or counted as lost.
func TestRefusedTrain(t *testing.T) {
	origin := newPeer(t, "127.0.0.1")
	var d datagram.Dialer
	fd, err := d.Dial(origin.addr(), nil)
	check(t, err)
	defer unix.Close(fd)
	check(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_NO_CHECK, 1)) // refuses all trains
	f, fl := sending(t, fd, config.ProxyOff)
	fl.Sockets.paths = [2]datagram.Path{}
	var q sendQueue
	for _, size := range []int{100, 100, 100, 50, 50} {
		submit(t, &q, f, fl, strings.Repeat("x", size))
	}
	q.flush()
	for _, size := range []int{100, 100, 100, 50, 50} {
		if got, _ := origin.receive(); len(got) != size {
			t.Fatalf("received %d bytes, want %d", len(got), size)
		}
	}
	if fl.Sockets.paths[route.ToOrigin].Trains(50) || !fl.Sockets.paths[route.ToOrigin].Trains(49) || !fl.Sockets.paths[route.ToClient].Trains(100) {
		t.Errorf("the flow remembers %v", fl.Sockets.paths)
	}
	if diff := cmp.Diff(map[route.Verdict]uint64{route.Forwarded: 5}, toOrigin(f)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
