package integration

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

// TestSweepOfOneClient has one client ask on many more UDP ports than it may have flows: each question that
// waits for its answer gets it, although the next ones need the client's places. `make sweep` asks on all
// ports.
func TestSweepOfOneClient(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	ports := 20_000
	if os.Getenv("ANYPORT_SWEEP") == "all" {
		ports = 65_535
	}
	for name, key := range map[string]string{"max_flows_per_client": "max_flows_per_client = 1000", "max_conns_per_client": "max_conns_per_client = 1000", "default": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sweepOfOneClient(t, ports, key)
		})
	}
}

// sweepOfOneClient asks on this number of ports of a route with this key, whose bound, or the default one, is far
// less.
func sweepOfOneClient(t *testing.T, ports int, key string) {
	t.Helper()
	r := newRig(t)
	r.origin.answer(t, "10.0.0.5:4000", func(question []byte) []byte { return question })
	p := r.edge.serveWith(t, fmt.Sprintf("[route.all]\nprotocol = \"udp\"\nprefixes = [%q]\norigins = [\"10.0.0.5:4000\"]\n%s\n", servedV4, key))

	begun := time.Now()
	q := &questions{conn: r.client.listenPacket(t, clientV4+":5000"), dst: netip.MustParseAddr(dstV4)}
	for port := range ports {
		q.ask(t, uint16(port+1))
		if len(q.waiting) == mostWaiting {
			q.hear(t)
		}
	}
	for len(q.waiting) > 0 {
		q.hear(t)
	}
	t.Logf("%d ports in %.1f s, %d asked again", ports, time.Since(begun).Seconds(), q.lost)
	if q.lost > mostWaiting {
		t.Errorf("%d of %d questions had no answer, which is more than a queue that overflowed once", q.lost, ports)
	}
	most := 1000
	if key == "" {
		most = p.mostOfClient(t)
	}
	if got := p.status(t).route(t, "all").ConnsActive; int(got) != most {
		t.Errorf("%d flows, the client's bound is %d", got, most)
	}
}

// mostOfClient is the default bound.
func (p *proxy) mostOfClient(t *testing.T) int {
	t.Helper()
	var s struct {
		Most int `json:"max_flow_sockets_per_client"`
	}
	if err := json.Unmarshal(p.statusJSON(t), &s); err != nil {
		t.Fatal(err)
	}
	return s.Most
}

// mostWaiting is how many questions are under way at once: few enough for all queues.
const mostWaiting = 64

// questions are one client's, each for another port.
type questions struct {
	conn    *net.UDPConn
	dst     netip.Addr
	waiting map[netip.AddrPort]bool
	lost    int
}

func (q *questions) ask(t *testing.T, port uint16) {
	t.Helper()
	dst := netip.AddrPortFrom(q.dst, port)
	if _, err := q.conn.WriteToUDPAddrPort([]byte(dst.String()), dst); err != nil {
		t.Fatal(err)
	}
	if q.waiting == nil {
		q.waiting = map[netip.AddrPort]bool{}
	}
	q.waiting[dst] = true
}

// hear takes one answer. Where none comes, all that wait are asked again.
func (q *questions) hear(t *testing.T) {
	t.Helper()
	answer := make([]byte, 100)
	q.conn.SetReadDeadline(time.Now().Add(2 * time.Second))
	n, from, err := q.conn.ReadFromUDPAddrPort(answer)
	if err == nil {
		if string(answer[:n]) != from.String() {
			t.Fatalf("%v answers %q", from, answer[:n])
		}
		delete(q.waiting, from)
		return
	}
	if q.lost += len(q.waiting); q.lost > 10*mostWaiting {
		t.Fatalf("%d questions had no answer: %v", q.lost, err)
	}
	for dst := range q.waiting {
		q.ask(t, dst.Port())
	}
}
