package integration

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// What the datagrams of the tests look like.
const (
	ordinary    = "\x80 an ordinary datagram "
	shortHeader = "\x4a like QUIC after the handshake "
	dnsQuery    = "\x4a\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x00\x00\x01\x00\x01"
)

// peerIdle is the idle timeout of the routes that forget soon. Two of it after an edge has come or gone,
// only what looks like QUIC is asked about.
const peerIdle = 3 * time.Second

// peerFlow is a client's side of a flow. The origin says where a datagram came from, and which one it is.
type peerFlow struct {
	net.Conn
	source string // as the origin has said
	last   time.Time
	slow   time.Duration // the longest time between two answers
}

// countingOrigin answers at a port of the origin: the source of a datagram, and how many have come from it.
func (f *peerRig) countingOrigin(t *testing.T, port int) {
	t.Helper()
	var mu sync.Mutex
	seen := map[netip.AddrPort]int{}
	f.origin.answerTo(t, fmt.Sprintf("%s:%d", originV4, port), func(_ []byte, from netip.AddrPort) []byte {
		mu.Lock()
		defer mu.Unlock()
		seen[from]++
		return fmt.Appendf(nil, "%s %d", from, seen[from])
	})
}

// openFlows begins flows to a port, half of them over IPv6.
func (f *peerRig) openFlows(t *testing.T, n, port int, like string) (all []*peerFlow) {
	t.Helper()
	for i := range n {
		address := fmt.Sprintf("192.0.2.%d:%d", 1+i, port)
		if i%2 == 1 {
			address = fmt.Sprintf("[2001:db8:1::%d]:%d", 1+i, port)
		}
		flow := &peerFlow{Conn: f.client.dial(t, "udp", address), last: time.Now()}
		all = append(all, flow)
		flow.ask(t, like, 1)
	}
	return all
}

// ask sends datagrams without waiting, and reads as many answers: each tells of another datagram, in any
// order.
func (flow *peerFlow) ask(t *testing.T, like string, datagrams int) (moved bool) {
	t.Helper()
	for range datagrams {
		if _, err := flow.Write([]byte(like)); err != nil {
			t.Fatal(err)
		}
	}
	buffer, numbers := make([]byte, 100), map[int]bool{}
	for range datagrams {
		n, err := flow.Read(buffer)
		if err != nil {
			t.Fatalf("%s → %s: %v", flow.LocalAddr(), flow.RemoteAddr(), err)
		}
		var source string
		var number int
		fmt.Sscan(string(buffer[:n]), &source, &number)
		moved = moved || flow.source != "" && source != flow.source
		flow.source, numbers[number] = source, true
	}
	if len(numbers) != datagrams {
		t.Errorf("%d answers tell of the datagrams %v", datagrams, numbers)
	}
	now := time.Now()
	flow.slow, flow.last = max(flow.slow, now.Sub(flow.last)), now
	return moved
}

// askAllFlows asks over all flows, and returns how many the origin sees from another source than before.
func askAllFlows(t *testing.T, all []*peerFlow, like string, datagrams int) (moved int) {
	t.Helper()
	for _, flow := range all {
		if flow.ask(t, like, datagrams) {
			moved++
		}
	}
	return moved
}

// soonAndLate are routes to the port of the origin that clients ask for: all to one port have an idle timeout.
func soonAndLate(soon, late int) string {
	const route = "[route.%s]\nprotocol = \"udp\"\nprefixes = [%q, %q]\nports = [%d]\norigins = [%q]\nudp_idle_timeout = %q\n"
	return fmt.Sprintf(route, "soon", servedV4, servedV6, soon, originV4, peerIdle) + fmt.Sprintf(route, "late", servedV4, servedV6, late, originV4, "5m")
}

// startUDPPeers starts edges; the router uses the first.
func startUDPPeers(t *testing.T, edges, soon, late int, six bool) *peerRig {
	t.Helper()
	f := newPeerRig(t, edges)
	f.countingOrigin(t, soon)
	f.countingOrigin(t, late)
	f.key, f.routes, f.backplaneV6 = newPeerKey(t), soonAndLate(soon, late), six
	for _, e := range f.edges {
		f.serve(t, e)
	}
	f.hash(t, f.edges[0])
	f.awaitPeers(t, edges-1)
	return f
}

// TestPeersUDP: when the router sends the datagrams of flows to another edge, the origin sees them from where
// they came before, none is lost, and none comes twice. Soon after an edge has come or gone that holds for all flows, later for
// those of QUIC; then no other new flow is asked about.
func TestPeersUDP(t *testing.T) {
	t.Parallel()
	for name, six := range map[string]bool{"backplane IPv4": false, "backplane IPv6": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const soon, late = 4443, 4444
			f := startUDPPeers(t, 2, soon, late, six)
			f.moveFlows(t, f.openFlows(t, 20, late, ordinary), ordinary)
			f.awaitSettled(t)
			for {
				f.hash(t, f.edges[0])
				flows := f.openFlows(t, 20, soon, shortHeader)
				slowest := f.moveFlows(t, flows, shortHeader)
				if slowest < peerIdle/2 {
					break
				}
				t.Logf("a flow was quiet for %v: once more", slowest)
			}
			f.expectTaken(t)
			f.askedAbout(t, 0, func() { f.openFlows(t, 20, soon, ordinary) })
			f.askedAbout(t, 0, func() { f.openFlows(t, 20, soon, dnsQuery) })
			f.askedAbout(t, 20, func() { f.openFlows(t, 20, soon, shortHeader) })
		})
	}
}

// moveFlows has the router send the datagrams of flows to the second edge, and back. It returns how long a
// flow was quiet at most; if it was too long for the flow to live, nothing is said about it.
func (f *peerRig) moveFlows(t *testing.T, flows []*peerFlow, like string) (slowest time.Duration) {
	t.Helper()
	moved := askAllFlows(t, flows, like, 2)
	for _, to := range []int{2, 1, 2} {
		f.hash(t, f.edges[to-1])
		moved += askAllFlows(t, flows, like, 5) // while the edge asks its peers
		moved += askAllFlows(t, flows, like, 1)
	}
	slowest = slowestOf(flows)
	if moved > 0 && (like == ordinary || slowest < peerIdle/2) {
		t.Errorf("%s: the origin sees %d of %d flows from another source", strings.TrimSpace(like), moved, len(flows))
	}
	return slowest
}

// slowestOf is how long one of the flows was quiet at most.
func slowestOf(flows []*peerFlow) (slowest time.Duration) {
	for _, flow := range flows {
		slowest = max(slowest, flow.slow)
	}
	return slowest
}

// awaitSettled waits until it was long ago that an edge came.
func (f *peerRig) awaitSettled(t *testing.T) {
	t.Helper()
	for _, e := range f.edges {
		eventually(t, "it is long since an edge came", func() bool {
			changed := e.proxy.status(t).Peers.Changed
			return changed != nil && time.Since(*changed) > 2*peerIdle+time.Second
		})
	}
}

// askedAbout checks how many flows the edges ask each other about, while something is done.
func (f *peerRig) askedAbout(t *testing.T, want uint64, do func()) {
	t.Helper()
	sought := func() (n uint64) {
		for _, e := range f.edges {
			n += e.proxy.status(t).Peers.Conns["sought"]
		}
		return n
	}
	before := sought()
	do()
	if got := sought() - before; got != want {
		t.Errorf("asked about %d flows, want %d", got, want)
	}
}

// TestPeersSPP: a flow that begins again on another edge has the same origin of three, by the client's address, and
// the origin the same client, by the header.
func TestPeersSPP(t *testing.T) {
	t.Parallel()
	f := newPeerRig(t, 2)
	const port = 4100
	var origins []string
	for n := range 3 {
		address := fmt.Sprintf("%s:%d", originV4, port+n)
		origins = append(origins, fmt.Sprintf("%q", address))
		f.origin.answer(t, address, func(datagram []byte) []byte { // the header, which it has to begin with, and all of it
			size := binary.Size(spp{})
			if len(datagram) < size {
				return nil
			}
			return append(datagram[:size:size], fmt.Sprintf("%d%v", n, datagram)...)
		})
	}
	f.routes = fmt.Sprintf("[route.spp]\nprotocol = \"udp\"\nprefixes = [%q, %q]\norigins = [%s]\nproxy_protocol = \"spp\"\nbalance = \"source_hash\"\n",
		servedV4, servedV6, strings.Join(origins, ", "))
	for _, e := range f.edges {
		f.serve(t, e)
	}
	used := map[byte]bool{}
	for i := range 20 {
		f.client.output(t, "ip", "address", "add", fmt.Sprintf("203.0.113.%d/32", i+1), "dev", "lo")
	}
	f.router.output(t, "ip", "route", "replace", "203.0.113.0/24", "via", clientV4)
	for i := range 20 {
		conn, err := f.client.tryDial("udp", fmt.Sprintf("203.0.113.%d", i+1), fmt.Sprintf("192.0.2.%d:%d", i+1, port))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var answers []string
		for _, e := range f.edges {
			f.hash(t, e)
			answers = append(answers, oneAnswer(t, conn, "hello"))
		}
		if want := answers[0][1:]; answers[0] != answers[1] || want != fmt.Sprint(sppOf(addrPort(conn.LocalAddr()), addrPort(conn.RemoteAddr())).before("hello")) {
			t.Errorf("the edges' origins say\n%s\n%s", answers[0], answers[1])
		}
		used[answers[0][0]] = true
	}
	if len(used) != 3 {
		t.Errorf("%d of 3 origins were used", len(used))
	}
}

// oneAnswer sends a datagram and returns the answer.
func oneAnswer(t *testing.T, conn net.Conn, datagram string) string {
	t.Helper()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte(datagram)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 1<<10)
	n, err := conn.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return string(buffer[:n])
}
