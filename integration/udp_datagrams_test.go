package integration

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestDatagramSizes checks that datagrams of any size pass both ways, complete, over
// links with an MTU of 1,500 bytes: the large ones travel in fragments.
func TestDatagramSizes(t *testing.T) { onBothPaths(t, passesSizes) }

func passesSizes(t *testing.T, r *rig) {
	r.origin.answer(t, "10.0.0.5:4711", bytes.Clone)
	r.origin.answer(t, "[fd00:5::5]:4711", bytes.Clone)
	r.edge.serveWith(t, relayFile)
	random := rand.NewChaCha8([32]byte{})
	for _, dst := range []string{"192.0.2.7:4711", "[2001:db8:1::7]:4711"} {
		conn := r.client.dial(t, "udp", dst)
		sizes := []int{0, 1, 1452, 1473, 9000, 65507}
		for _, size := range slices.Concat(sizes, sizes, sizes) { // the kernel may forward the flow after eight
			question := make([]byte, size)
			random.Read(question)
			if got := trade(t, conn, string(question)); got != string(question) {
				t.Errorf("%s: sent %d bytes, got %d back, or others", dst, size, len(got))
			}
		}
	}
}

// spp is the Simple Proxy Protocol's header as its specification draws it.
type spp struct {
	Magic       uint16
	Client, Dst [16]byte
	ClientPort  uint16
	DstPort     uint16
}

const sppMagic = 0x56EC

func sppOf(client, dst netip.AddrPort) spp {
	return spp{sppMagic, client.Addr().As16(), dst.Addr().As16(), client.Port(), dst.Port()}
}

func (h spp) before(payload string) []byte {
	b, _ := binary.Append(nil, binary.BigEndian, h)
	return append(b, payload...)
}

// askedSPP is how many questions a flow of TestSPP has: the kernel may forward it after eight.
const askedSPP = 16

// TestSPP checks the header before every datagram in both directions, and that a reply
// whose header is missing, truncated or of another flow never reaches the client.
func TestSPP(t *testing.T) { onBothPaths(t, checksSPP) }

func checksSPP(t *testing.T, r *rig) {
	origin := r.origin.listenPacket(t, "10.0.0.5:4000")
	origin.SetDeadline(time.Now().Add(patience))
	p := r.edge.serveWith(t, `
[route.all]
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
protocol = "udp"
origins  = ["10.0.0.5:4000"]
proxy_protocol = "spp"
`)
	for _, dst := range []string{"192.0.2.7:4711", "[2001:db8:1::7]:4711"} {
		client := r.client.dial(t, "udp", dst)
		truth := sppOf(addrPort(client.LocalAddr()), netip.MustParseAddrPort(dst))
		for range askedSPP {
			askSPP(t, client, origin, truth)
		}
	}
	if got := p.status(t).route(t, "all").Datagrams["to_client"]["bad_header"]; got != 2*askedSPP*uint64(len(lies(spp{}))) {
		t.Errorf("%d replies counted as bad_header", got)
	}
}

// lies are replies that must not pass.
func lies(truth spp) [][]byte {
	unmarked, otherClient, otherDst := truth, truth, truth
	unmarked.Magic++
	otherClient.ClientPort++
	otherDst.Dst[15]++
	return [][]byte{
		{},
		[]byte("no header at all"),
		truth.before("")[:37],
		unmarked.before("a lie"),
		otherClient.before("a lie"),
		otherDst.before("a lie"),
	}
}

func askSPP(t *testing.T, client net.Conn, origin *net.UDPConn, truth spp) {
	t.Helper()
	if _, err := client.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 1<<16)
	n, edge, err := origin.ReadFromUDPAddrPort(buffer)
	if err != nil {
		t.Fatal(err)
	}
	if want := truth.before("question"); !bytes.Equal(buffer[:n], want) {
		t.Errorf("the origin got % x, want % x", buffer[:n], want)
	}
	for _, reply := range append(lies(truth), truth.before("answer")) {
		if _, err := origin.WriteToUDPAddrPort(reply, edge); err != nil {
			t.Fatal(err)
		}
	}
	if n, err = client.Read(buffer); err != nil || string(buffer[:n]) != "answer" {
		t.Errorf("the client got %q, %v", buffer[:n], err)
	}
}

// TestTrains checks that the datagrams that a client passes to the kernel as one train
// (UDP_SEGMENT) arrive and return as these datagrams, in order.
func TestTrains(t *testing.T) { onBothPaths(t, passesTrains) }

func passesTrains(t *testing.T, r *rig) {
	const size, count = 1000, 40
	r.origin.answer(t, "10.0.0.5:4711", bytes.Clone)
	r.edge.serveWith(t, relayFile)
	conn := r.client.dial(t, "udp", "192.0.2.7:4711")
	warm(t, conn)
	raw, err := conn.(*net.UDPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT, size) })
	if err != nil {
		t.Fatal(err)
	}
	train := make([]byte, (count-1)*size+1) // the last one is shorter
	rand.NewChaCha8([32]byte{}).Read(train)
	got := []byte(trade(t, conn, string(train)))
	for buffer := make([]byte, 1<<16); len(got) < len(train); {
		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatalf("after %d bytes: %v", len(got), err)
		}
		if n != min(size, len(train)-len(got)) {
			t.Fatalf("a datagram of %d bytes, after %d of %d", n, len(got), len(train))
		}
		got = append(got, buffer[:n]...)
	}
	if !bytes.Equal(got, train) {
		t.Error("the bytes that came back are not those that were sent")
	}
}
