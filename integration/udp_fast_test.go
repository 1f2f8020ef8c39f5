package integration

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// fastFile has a route for each header and family.
const fastFile = `
[route.off4]
protocol = "udp"
prefixes = ["192.0.2.0/26"]
origins  = ["10.0.0.5:4000"]
[route.two4]
protocol = "udp"
prefixes = ["192.0.2.64/26"]
origins  = ["10.0.0.5:4001"]
proxy_protocol = "v2"
[route.spp4]
protocol = "udp"
prefixes = ["192.0.2.128/26"]
origins  = ["10.0.0.5:4002"]
proxy_protocol = "spp"
[route.off6]
protocol = "udp"
prefixes = ["2001:db8:1::/64"]
origins  = ["[fd00:5::5]:4000"]
[route.two6]
protocol = "udp"
prefixes = ["2001:db8:1:1::/64"]
origins  = ["[fd00:5::5]:4001"]
proxy_protocol = "v2"
[route.spp6]
protocol = "udp"
prefixes = ["2001:db8:1:2::/64"]
origins  = ["[fd00:5::5]:4002"]
proxy_protocol = "spp"
`

// fastDsts is a dst on each route of fastFile, and the bytes of its header.
var fastDsts = map[string]struct {
	dst    string
	header int
}{
	"off4": {"192.0.2.7:4711", 0}, "two4": {"192.0.2.77:4711", 28}, "spp4": {"192.0.2.177:4711", 38},
	"off6": {"[2001:db8:1::7]:4711", 0}, "two6": {"[2001:db8:1:1::7]:4711", 52}, "spp6": {"[2001:db8:1:2::7]:4711", 38},
}

// answerFast has the origin answer each datagram with what it has read, on all ports of fastFile, if its
// header is the one that it should be.
func (r *rig) answerFast(t *testing.T) {
	t.Helper()
	for _, origin := range []string{"10.0.0.5", "[fd00:5::5]"} {
		r.origin.answer(t, origin+":4000", bytes.Clone)
		r.origin.answer(t, origin+":4001", witnessDatagram)
		r.origin.answer(t, origin+":4002", bytes.Clone) // with the header, as SPP wants it
	}
}

// fastAnswer is what the client gets for a question.
func fastAnswer(route string, conn net.Conn, dst, question string) string {
	if !strings.HasPrefix(route, "two") {
		return question
	}
	return expected("udp"+route[3:], addrPort(conn.LocalAddr()), netip.MustParseAddrPort(dst), question)
}

// TestFastPath: once a flow has shown itself, the kernel forwards it, whatever the header: datagrams of
// all sizes arrive once, whole, with checksums that the receiver has verified, from dst; those that
// exceed the MTU with the header go through user space. All of them are counted.
func TestFastPath(t *testing.T) {
	t.Parallel()
	needFastPath(t)
	r := newRig(t)
	r.answerFast(t)
	p := r.edge.serveWith(t, fastFile)
	random := rand.NewChaCha8([32]byte{})
	for _, computed := range []bool{false, true} {
		if computed {
			r.client.computeChecksums(t, "edge0")
			r.origin.computeChecksums(t, "edge0")
		}
		for route, to := range fastDsts {
			conn := r.client.dial(t, "udp", to.dst)
			p.goFast(t, func(conn net.Conn) {
				if got := trade(t, conn, "again"); got != fastAnswer(route, conn, to.dst, "again") {
					t.Fatalf("%s: answered %q", route, got)
				}
			}, conn)
			before := p.status(t).route(t, route)
			most := 1500 - 28 // the MTU over IPv4
			if route[3] == '6' {
				most -= 20
			}
			sizes := []int{1, 2, 7, 64, 511, 1200, 1339, most - to.header - 1, most - to.header, most - to.header + 1, most, most + 1, 4000}
			for _, size := range sizes {
				question := make([]byte, size)
				random.Read(question)
				if got := trade(t, conn, string(question)); got != fastAnswer(route, conn, to.dst, string(question)) {
					t.Errorf("%s, %d bytes: got %d back, or others", route, size, len(got))
				}
			}
			after := p.status(t).route(t, route)
			for _, direction := range []string{"to_origin", "to_client"} {
				if n := after.Datagrams[direction]["forwarded"] - before.Datagrams[direction]["forwarded"]; n != uint64(len(sizes)) {
					t.Errorf("%s: %d datagrams %s are counted, of %d", route, n, direction, len(sizes))
				}
				if n := after.Fast.Datagrams[direction] - before.Fast.Datagrams[direction]; n < 7 || n > 11 {
					t.Errorf("%s: the kernel forwarded %d datagrams %s", route, n, direction)
				}
			}
			if after.Fast.Flows == 0 {
				t.Errorf("%s: no flow is in the kernel: %+v", route, after.Fast)
			}
		}
	}
}

// TestFastPathOff: what the file, the route or the flow says against it keeps a flow in user space, and
// the list says what.
func TestFastPathOff(t *testing.T) {
	t.Parallel()
	needFastPath(t)
	r := newRig(t)
	r.origin.answer(t, "10.0.0.5:4711", bytes.Clone)
	p := r.edge.serveWith(t, `
[route.off]
protocol = "udp"
prefixes = ["192.0.2.1"]
origins  = ["10.0.0.5"]
fast_path = "off"
[route.rate]
protocol = "udp"
prefixes = ["192.0.2.2"]
origins  = ["10.0.0.5"]
datagrams_per_second = 1000000
[route.tlvs]
protocol = "udp"
prefixes = ["192.0.2.3"]
origins  = ["10.0.0.5"]
proxy_protocol = "v2"
proxy_tlvs = ["unique-id"]
[route.young]
protocol = "udp"
prefixes = ["192.0.2.4"]
origins  = ["10.0.0.5"]
`)
	for dst, want := range map[string]string{"192.0.2.1": "off", "192.0.2.2": "datagrams_per_second", "192.0.2.3": "header", "192.0.2.4": "unvalidated"} {
		conn := r.client.dial(t, "udp", dst+":4711")
		turns := 20
		if want == "unvalidated" {
			turns = 3
		}
		for range turns {
			trade(t, conn, "again")
		}
		if got, says := p.ask(t, "explain udp "+dst+":4711").stdout, "fast path: no: "; strings.Contains(got, says) == (want == "unvalidated") {
			t.Errorf("%s is explained as %s", dst, got)
		}
		if f := p.udpFlows(t)[conn.LocalAddr().String()]; f.Path != "user" || f.Reason != want {
			t.Errorf("%s: %+v, want %s", dst, f, want)
		}
	}
	if got := p.status(t).route(t, "rate").Fast.Refused["datagrams_per_second"]; got != 1 {
		t.Errorf("counted %d times", got)
	}
}

// TestFastPathEnds: what an operator orders reaches flows that the kernel forwards: a reload that takes
// the route or the fast path away, a kill, and a stop.
func TestFastPathEnds(t *testing.T) {
	t.Parallel()
	needFastPath(t)
	r := newRig(t)
	r.origin.answer(t, "10.0.0.5:4711", bytes.Clone)
	file := func(more string) string {
		return `
[route.game]
protocol = "udp"
prefixes = ["192.0.2.0/25"]
origins  = ["10.0.0.5"]
drain_timeout = "1s"
` + more
	}
	p := r.edge.serveWith(t, file(""))
	conn, killed := r.client.dial(t, "udp", dstV4+":4711"), r.client.dial(t, "udp", dstV4+":4711")
	p.goFast(t, asker(t), conn, killed)

	before := p.udpFlows(t)[killed.LocalAddr().String()]
	p.asks(t, "kill "+before.ID)
	asker(t)(killed) // which begins another flow
	if now := p.udpFlows(t)[killed.LocalAddr().String()]; now.ID == before.ID || now.Path != "user" || now.ToOrigin != uint64(len("again")) {
		t.Errorf("after a kill the flow is %+v", now)
	}

	p.write(t, file("fast_path = \"off\"\n"))
	p.reloads(t)
	asker(t)(conn)
	eventually(t, "the flow is in user space", func() bool {
		asker(t)(conn)
		return p.udpFlows(t)[conn.LocalAddr().String()].Reason == "off"
	})

	p.write(t, file(""))
	p.reloads(t)
	p.goFast(t, asker(t), conn)
	p.write(t, strings.ReplaceAll(file(""), "192.0.2.0/25", "192.0.2.128/25"))
	p.reloads(t)
	eventually(t, "the flow of a route that is gone ends", func() bool {
		return !heard(conn, "still there?", 50*time.Millisecond) && len(p.udpFlows(t)) == 0
	})
}

// TestFastPathIdle: a flow that the kernel forwards lives as long as there are datagrams in either
// direction, and ends when there were none for udp_idle_timeout.
func TestFastPathIdle(t *testing.T) {
	t.Parallel()
	needFastPath(t)
	r := newRig(t)
	r.origin.answer(t, "10.0.0.5:4711", func(datagram []byte) []byte {
		if bytes.HasPrefix(datagram, []byte("stream")) {
			return nil
		}
		return bytes.Clone(datagram)
	})
	p := r.edge.serveWith(t, `
[route.game]
protocol = "udp"
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.5"]
udp_idle_timeout = "2s"
`)
	conn := r.client.dial(t, "udp", dstV4+":4711")
	p.goFast(t, asker(t), conn)
	id := p.udpFlows(t)[conn.LocalAddr().String()].ID
	var last time.Time
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		fmt.Fprint(conn, "stream") // one way
		last = time.Now()
	}
	f := p.udpFlows(t)[conn.LocalAddr().String()]
	if f.ID != id || f.Path != "kernel" || f.Idle > 1.5 {
		t.Fatalf("the flow of a stream is %+v, and was %s", f, id)
	}
	eventually(t, "the flow ends", func() bool { return len(p.udpFlows(t)) == 0 })
	if idle := time.Since(last); idle < time.Second {
		t.Errorf("ended %v after the last datagram", idle)
	}
}

// TestFastPathMTU: behind the origin's router the path is narrower than the device. Its ICMP errors have
// long datagrams of a flow that the kernel forwards pass user space, which cuts them into fragments;
// others go on through the kernel.
func TestFastPathMTU(t *testing.T) {
	t.Parallel()
	needFastPath(t)
	r := newRig(t)
	far := r.beyond(t)
	p := r.edge.serveWith(t, `
[route.off]
protocol = "udp"
prefixes = ["192.0.2.0/25", "2001:db8:1::/64"]
origins  = ["10.8.0.2", "fd00:8::2"]
[route.spp]
protocol = "udp"
prefixes = ["192.0.2.128/25", "2001:db8:1:1::/64"]
origins  = ["10.8.0.2", "fd00:8::2"]
proxy_protocol = "spp"
`)
	for _, origin := range []string{"10.8.0.2:4711", "[fd00:8::2]:4711"} {
		far.answer(t, origin, bytes.Clone)
	}
	for _, dst := range []string{"192.0.2.7:4711", "192.0.2.200:4711", "[2001:db8:1::7]:4711", "[2001:db8:1:1::7]:4711"} {
		var conn net.Conn
		eventually(t, "an origin of the client's family is chosen", func() bool { // round robin
			conn = r.client.dial(t, "udp", dst)
			asker(t)(conn)
			return strings.HasPrefix(p.udpFlows(t)[conn.LocalAddr().String()].Origin, "[") == strings.HasPrefix(dst, "[")
		})
		p.goFast(t, asker(t), conn)
		question := strings.Repeat("?", 1400)
		eventually(t, dst+": a datagram longer than the path's MTU arrives", func() bool { return heard(conn, question, silence) })
		p.goFast(t, asker(t), conn)
		for range 20 {
			asker(t)(conn)
			if got := trade(t, conn, question); got != question {
				t.Fatalf("%s: %d bytes came back", dst, len(got))
			}
		}
		before := p.status(t)
		asker(t)(conn)
		after := p.status(t)
		if n := fastTotal(after) - fastTotal(before); n != 2 {
			t.Errorf("%s: the kernel forwards %d of a short question and its answer", dst, n)
		}
	}
}

// fastTotal is how many datagrams the kernel has forwarded.
func fastTotal(s status) (n uint64) {
	for _, r := range s.Routes {
		n += r.Fast.Datagrams["to_origin"] + r.Fast.Datagrams["to_client"]
	}
	return n
}
