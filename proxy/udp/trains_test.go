package udp

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"anyport/config"
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

// random are datagrams of given sizes, each of other bytes.
func random(sizes ...int) (all [][]byte) {
	for _, size := range sizes {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(rand.IntN(256))
		}
		all = append(all, b)
	}
	return all
}

func repeated(size, n int) (sizes []int) {
	for range n {
		sizes = append(sizes, size)
	}
	return sizes
}

// trains are sizes of datagrams that come as one train.
var trains = [][]int{
	{1}, {1, 1}, {100, 99}, {1200, 1200, 1}, repeated(1, 64), repeated(1200, 50), append(repeated(1000, 20), 7), repeated(1340, 48),
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
				there := random(sizes...)
				client.sendTrain(bytes.Join(there, nil), sizes[0], p.dsts[0])
				flow, own := receiveAll(t, origin, there, client.addr(), p.dsts[0], headed(kind, i))
				back := random(sizes...)
				var train []byte
				for _, b := range back {
					train = append(append(train, own...), b...)
				}
				if len(train) > maxTrain {
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
	var d dialer
	fd, err := d.dial(origin.addr(), nil)
	check(t, err)
	defer unix.Close(fd)
	check(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_NO_CHECK, 1)) // refuses all trains
	f, fl := sending(t, fd, config.ProxyOff)
	fl.apart = [2]uint16{}
	var o outbox
	for _, size := range []int{100, 100, 100, 50, 50} {
		submit(t, &o, f, fl, strings.Repeat("x", size))
	}
	o.flush()
	for _, size := range []int{100, 100, 100, 50, 50} {
		if got, _ := origin.receive(); len(got) != size {
			t.Fatalf("received %d bytes, want %d", len(got), size)
		}
	}
	if fl.together(route.ToOrigin, 50) || !fl.together(route.ToOrigin, 49) || !fl.together(route.ToClient, 100) {
		t.Errorf("the flow remembers %v", fl.apart)
	}
	if diff := cmp.Diff(map[route.Verdict]uint64{route.Forwarded: 5}, toOrigin(f)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestTrainLength: a train is of one flow and one direction, of datagrams of one size
// but for the last, and within the kernel's bounds.
func TestTrainLength(t *testing.T) {
	a, b := &flow{}, &flow{}
	narrow := &flow{apart: [2]uint16{route.ToOrigin: 50}}
	of := func(f *flow, sizes ...int) (run []outgoing) {
		for _, payload := range random(sizes...) {
			run = append(run, outgoing{flow: f, payload: payload})
		}
		return run
	}
	back := of(a, 100)
	back[0].direction = route.ToClient
	headed := of(a, 60)
	headed[0].header = make([]byte, 40)
	raw := of(a, 100, 100)
	raw[0].control = []byte{1}
	for _, test := range []struct {
		name string
		run  []outgoing
		want int
	}{
		{"alone", of(a, 100), 1},
		{"equal", of(a, 100, 100, 100), 3},
		{"the last is shorter", of(a, 100, 100, 30), 3},
		{"one before the last is shorter", of(a, 100, 30, 100), 2},
		{"a longer one", of(a, 100, 101), 1},
		{"an empty one", of(a, 100, 0, 100), 1},
		{"empty ones", of(a, 0, 0), 1},
		{"another flow", append(of(a, 100), of(b, 100)...), 1},
		{"the other direction", append(of(a, 100), back...), 1},
		{"a header makes up for it", append(headed, of(a, 100)...), 2},
		{"as many as the kernel takes", of(a, repeated(10, 2*maxSegments)...), maxSegments},
		{"as long as the kernel takes", of(a, repeated(1500, 50)...), maxTrain / 1500},
		{"a path that takes no such train", of(narrow, 50, 50), 1},
		{"a path that takes such a train", of(narrow, 49, 49), 2},
		{"a raw socket", raw, 1},
	} {
		if got := trainLength(test.run); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

// TestGather: the parts are the datagrams, and only as many as memory has gaps.
func TestGather(t *testing.T) {
	whole, header := random(300)[0], random(8)[0]
	var parts [8]unix.Iovec
	for _, test := range []struct {
		name string
		run  []outgoing
		want int
	}{
		{"one after another", []outgoing{{payload: whole[:100]}, {payload: whole[100:200]}, {payload: whole[200:]}}, 1},
		{"a gap", []outgoing{{payload: whole[:100]}, {payload: whole[101:200]}}, 2},
		{"backwards", []outgoing{{payload: whole[100:]}, {payload: whole[:100]}}, 2},
		{"headers", []outgoing{{header: header, payload: whole[:100]}, {header: header, payload: whole[100:]}}, 4},
		{"nothing", []outgoing{{}}, 0},
	} {
		used := gather(parts[:], test.run)
		var want, got []byte
		for _, d := range test.run {
			want = append(append(want, d.header...), d.payload...)
		}
		for _, part := range parts[:used] {
			got = append(got, bytesOf(part)...)
		}
		if used != test.want || !bytes.Equal(got, want) {
			t.Errorf("%s: %d parts, want %d, with %d bytes that are the datagrams: %v", test.name, used, test.want, len(got), bytes.Equal(got, want))
		}
	}
}

func bytesOf(part unix.Iovec) []byte { return unsafe.Slice(part.Base, part.Len) }
