package integration

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// sourcesOrigin is an origin that answers each question with itself, and knows where each came from.
type sourcesOrigin struct {
	*net.UDPConn
	mu   sync.Mutex
	from map[string]netip.AddrPort
}

func newSourcesOrigin(t *testing.T, h *host, address string) *sourcesOrigin {
	o := &sourcesOrigin{from: map[string]netip.AddrPort{}}
	o.UDPConn = h.answerTo(t, address, func(question []byte, from netip.AddrPort) []byte {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.from[string(question)] = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		return question
	})
	return o
}

// source is where a question came from.
func (o *sourcesOrigin) source(question string) netip.AddrPort {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.from[question]
}

// askedAtATime is how many flows one socket of a client begins at once, each to a port of its own.
const askedAtATime = 100

// askMany has a new socket ask once in each of askedAtATime flows, and waits for the answers. It returns the
// questions.
func askMany(t *testing.T, h *host, to, name string) (client *net.UDPConn, questions []string) {
	t.Helper()
	client = h.listenPacket(t, "0.0.0.0:0")
	wanted := map[string]netip.AddrPort{}
	for i := range askedAtATime {
		dst, question := netip.AddrPortFrom(netip.MustParseAddr(to), uint16(2000+i)), fmt.Sprint(name, " ", i)
		if _, err := client.WriteToUDPAddrPort([]byte(question), dst); err != nil {
			t.Fatal(err)
		}
		wanted[question], questions = dst, append(questions, question)
	}
	client.SetReadDeadline(time.Now().Add(patience))
	for len(wanted) > 0 {
		text, from, err := receiveFrom(client)
		if err != nil {
			t.Fatalf("%d answers are missing: %v", len(wanted), err)
		}
		if wanted[text] != from {
			t.Errorf("%s got %q from %v", name, text, from)
		}
		delete(wanted, text)
	}
	return client, questions
}

func receiveFrom(client *net.UDPConn) (text string, from netip.AddrPort, err error) {
	buffer := make([]byte, 1500)
	n, from, err := client.ReadFromUDPAddrPort(buffer)
	return string(buffer[:n]), netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), err
}

// TestFreeSockets checks that the sockets of short flows serve the next flows to their origin, and that an
// origin that answers an old question once more reaches nobody: neither who had asked, nor the next.
func TestFreeSockets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	origin := newSourcesOrigin(t, r.origin, originV4+":4711")
	p := r.edge.serveWith(t, fmt.Sprintf(`
[route.short]
protocol = "udp"
prefixes = ["192.0.2.0/24"]
origins  = ["%s:4711"]
udp_idle_timeout     = "1s"
max_flows_per_client = 2_000
`, originV4))
	var clients []*net.UDPConn
	for round := 0; ; round++ { // on a slow machine the first sockets are closed before the last are free
		f := freeSocketsRound{T: t, rig: r, proxy: p, origin: origin, round: round}
		reused := f.run()
		if clients = append(clients, f.clients...); reused {
			break
		}
		if round == 10 {
			t.Fatal("no flow has got a free socket")
		}
	}
	for _, client := range clients {
		client.SetReadDeadline(time.Now().Add(time.Millisecond))
		if text, from, err := receiveFrom(client); err == nil {
			t.Errorf("a client got %q from %v once more", text, from)
		}
	}
}

// freeSocketsRound is 1,500 short flows, late answers to 200 of them, and 100 flows after that.
type freeSocketsRound struct {
	*testing.T
	*rig
	*proxy
	origin  *sourcesOrigin
	round   int
	clients []*net.UDPConn
}

// run reports whether all of the flows after that had sockets that were free.
func (f *freeSocketsRound) run() (reused bool) {
	var questions []string
	for i := range 15 {
		questions = append(questions, f.ask(fmt.Sprint(f.round, " flow ", i))...)
	}
	eventually(f.T, "all flows have ended", func() bool { return f.proxy.status(f.T).route(f.T, "short").ConnsActive == 0 })
	before, free := f.late(), map[netip.AddrPort]bool{}
	for i, question := range questions {
		source := f.origin.source(question)
		free[source] = i >= 200
		if i < 200 {
			f.origin.WriteToUDPAddrPort([]byte("late"), source)
		}
	}
	next, reused := f.ask(fmt.Sprint(f.round, " next")), true
	for _, question := range next {
		reused = reused && free[f.origin.source(question)]
	}
	if reused && f.late()-before < 150 { // one in 64 sockets is not kept
		f.Errorf("%d late answers were dropped", f.late()-before)
	}
	return reused
}

func (f *freeSocketsRound) ask(name string) (questions []string) {
	client, questions := askMany(f.T, f.client, dstV4, name)
	f.clients = append(f.clients, client)
	return questions
}

// late is how many late answers were dropped.
func (f *freeSocketsRound) late() int {
	return int(f.proxy.status(f.T).route(f.T, "short").Datagrams["to_client"]["flow_ended"])
}
