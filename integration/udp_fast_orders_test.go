package integration

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fastStorm is flows that keep asking, most of them through the kernel.
type fastStorm struct {
	*storm
	*proxy
	flows   int
	pause   time.Duration // of each client between two questions of four datagrams
	began   time.Time
	unheard atomic.Int64 // datagrams that the kernel has dropped before anybody read them: see backlogDrops
}

// newFastStorm starts the flows on two routes, of which one has SPP. In the long form they send 20,000
// datagrams a second together, if the machine has time for them.
func (r *rig) newFastStorm(t *testing.T, p *proxy) *fastStorm {
	t.Helper()
	r.origin.answer(t, "10.0.0.5:4711", named("same"))
	r.origin.answer(t, "10.0.0.5:4712", func(datagram []byte) []byte {
		return append(datagram[:38:38], named("same")(datagram[38:])...)
	})
	s := &fastStorm{storm: newStorm(t, r.client), proxy: p, flows: soak(60, 1000), began: time.Now()}
	s.pause = time.Duration(4*s.flows) * time.Second / time.Duration(soak(5_000, 20_000))
	for i := range s.flows {
		s.keepAsking(t, fmt.Sprintf("192.0.2.%d:%d", 1+i/2%100, 4711+i%2))
	}
	return s
}

// keepAsking starts the client of a flow. It has four datagrams under way at a time, whose order is not
// kept where some go through the kernel and some through user space.
func (s *fastStorm) keepAsking(t *testing.T, dst string) {
	t.Helper()
	conn := s.from.dial(t, "udp", dst)
	s.clients.Go(func() { // ended by calm
		for n := 0; s.ctx.Err() == nil; n++ {
			drops := backlogDrops()
			err := askTogether(conn, fmt.Sprintf("%v %d", conn.LocalAddr(), n), 4, patience)
			switch {
			case err == nil:
				s.stayed.Add(4)
			case errors.Is(err, os.ErrDeadlineExceeded) && backlogDrops() != drops:
				s.unheard.Add(4)
				conn.SetDeadline(time.Now().Add(patience / 100))
				io.Copy(io.Discard, conn) // the answers to what was not lost
			default:
				t.Errorf("the flow from %v to %s: %v", conn.LocalAddr(), dst, err)
				return
			}
			time.Sleep(s.pause)
		}
	})
}

// askTogether sends a few questions at once, and expects one answer to each.
func askTogether(conn net.Conn, text string, n int, wait time.Duration) error {
	conn.SetDeadline(time.Now().Add(wait))
	left := map[string]bool{}
	for i := range n {
		question := fmt.Sprintf("%s.%d", text, i)
		left["same "+question] = true
		if _, err := io.WriteString(conn, question); err != nil {
			return fmt.Errorf("%s: %w", question, err)
		}
	}
	answer := make([]byte, 200)
	for len(left) > 0 {
		size, err := conn.Read(answer)
		if err != nil {
			return fmt.Errorf("%d answers to %s are missing: %w", len(left), text, err)
		}
		if got := string(answer[:size]); !left[got] {
			return fmt.Errorf("the answer %q to %s", got, text)
		}
		delete(left, string(answer[:size]))
	}
	return nil
}

const fastStormFile = `
[route.plain]
protocol = "udp"
prefixes = ["192.0.2.0/24"]
ports    = [4711]
origins  = ["10.0.0.5"]
[route.spp]
protocol = "udp"
prefixes = ["192.0.2.0/24"]
ports    = [4712]
origins  = ["10.0.0.5"]
proxy_protocol = "spp"
`

// inKernel is how many flows the kernel forwards, and how many datagrams have come back to clients, of
// all and of those that the kernel has forwarded.
func (s *fastStorm) inKernel(t *testing.T) (flows int, answers, fast uint64) {
	t.Helper()
	for _, r := range s.proxy.status(t).Routes {
		if r.Name == "brief" {
			continue
		}
		flows += r.Fast.Flows
		answers += r.Datagrams["to_client"]["forwarded"]
		fast += r.Fast.Datagrams["to_client"]
	}
	return flows, answers, fast
}

// settles waits until the kernel forwards all flows, and has forwarded more of each.
func (s *fastStorm) settles(t *testing.T) {
	t.Helper()
	_, _, before := s.inKernel(t)
	eventually(t, "the kernel forwards all flows", func() bool {
		flows, _, fast := s.inKernel(t)
		return t.Failed() || flows == s.flows && fast >= before+uint64(s.flows)
	})
}

// ends ends the storm, and checks that each datagram that was answered is counted once, and that the kernel
// has forwarded most.
func (s *fastStorm) ends(t *testing.T) {
	t.Helper()
	if answers, fast := s.counts(t); fast < answers/2 {
		t.Errorf("the kernel has forwarded %d of %d answers", fast, answers)
	}
}

// counts ends the storm, and checks that each datagram that was answered is counted once.
func (s *fastStorm) counts(t *testing.T) (answers, fast uint64) {
	t.Helper()
	drops := backlogDrops()
	s.calm()
	flows, answers, fast := s.inKernel(t)
	if stayed := uint64(s.stayed.Load()); answers < stayed || answers > stayed+uint64(4*s.flows) && backlogDrops() == drops {
		t.Errorf("%d answers are counted, and the clients have %d", answers, stayed)
	}
	t.Logf("%d flows, %d answers, %.0f a second, %d of them by the kernel; the kernel's backlog had no room for up to %d",
		flows, answers, float64(answers)/time.Since(s.began).Seconds(), fast, s.unheard.Load())
	return answers, fast
}

// evictingFile is fastStormFile for a table that is full with those flows and a few others: of a route on
// which clients need not show that they are there, so that new flows replace them.
func evictingFile(flows int) string {
	return fmt.Sprintf("[listen]\nmax_flows = %d\n", flows+20) +
		strings.ReplaceAll(fastStormFile, "\nprotocol =", "\nmax_flows_per_client = 100000\nprotocol =") + `
[route.brief]
protocol = "udp"
prefixes = ["192.0.2.0/24"]
ports    = [4713]
origins  = ["10.0.0.5:4711"]
anti_amplification = false
max_flows_per_client = 100000
`
}

// keepEvicting starts a client that opens one flow after the other on the route brief. The kernel forwards
// each from its fourth datagram on, until newer ones replace it.
func (s *fastStorm) keepEvicting(t *testing.T) {
	t.Helper()
	s.clients.Go(func() { // ended by calm
		for n := 0; s.ctx.Err() == nil; n++ {
			conn, err := s.from.tryDial("udp", "", "192.0.2.150:4713")
			if err != nil {
				t.Error(err)
				return
			}
			for i := 0; i < 6 && err == nil; i++ {
				err = askTogether(conn, fmt.Sprintf("brief %d.%d", n, i), 1, time.Second)
			}
			conn.Close()
			// Where routes are drained, it is refused. It must not be answered for another flow.
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, unix.ECONNREFUSED) {
				t.Errorf("brief flow %d: %v", n, err)
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
}

// fastSoak is how long the long form of TestFastPathUnderOrders is.
const fastSoak = 10 * time.Minute

// TestFastPathUnderOrders: while the kernel forwards flows, reloads, upgrades, drains and evictions come. No
// datagram is lost or goes to another flow, each is counted once, and the flows go back to the kernel each
// time.
func TestFastPathUnderOrders(t *testing.T) {
	t.Parallel()
	needFastPath(t)
	r := newRig(t)
	file := evictingFile(soak(60, 1000))
	p := r.edge.serveWith(t, file)
	f := newFamily(t, p)
	s := r.newFastStorm(t, p)
	s.settles(t)
	s.keepEvicting(t)
	evicted, rounds := uint64(0), 0
	for ; rounds < soak(2, math.MaxInt) && time.Since(s.began) < fastSoak; rounds++ {
		p.write(t, file+"udp_idle_timeout = \"5m\"\n")
		p.reloads(t)
		s.settles(t)
		p.write(t, file)
		p.reloads(t)
		evicted += p.status(t).route(t, "brief").Ended["udp"]["evicted"] // of each process
		f.upgrade(t)
		s.settles(t)
		p.asks(t, "drain")
		p.asks(t, "drain --undo")
		s.settles(t)
	}
	evicted += p.status(t).route(t, "brief").Ended["udp"]["evicted"]
	s.ends(t)
	if evicted == 0 {
		t.Error("no flow was evicted")
	}
	t.Logf("%d times two reloads, an upgrade and a drain; %d flows were evicted", rounds, evicted)
}

// asks gives an order, which must do.
func (p *proxy) asks(t *testing.T, line string) {
	t.Helper()
	if got := p.ask(t, line); got.status != 0 {
		t.Fatalf("%s: %+v", line, got)
	}
}
