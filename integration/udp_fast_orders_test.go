package integration

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// fastStorm is flows that keep asking, most of them through the kernel.
type fastStorm struct {
	*storm
	*proxy
	flows int
}

// newFastStorm starts the flows on two routes, of which one has SPP.
func (r *rig) newFastStorm(t *testing.T, p *proxy) *fastStorm {
	t.Helper()
	r.origin.answer(t, "10.0.0.5:4711", named("same"))
	r.origin.answer(t, "10.0.0.5:4712", func(datagram []byte) []byte {
		return append(datagram[:38:38], named("same")(datagram[38:])...)
	})
	s := &fastStorm{newStorm(t, r.client), p, soak(60, 1000)}
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
			err := askTogether(conn, fmt.Sprintf("%v %d", conn.LocalAddr(), n), 4)
			switch {
			case err == nil:
				s.stayed.Add(4)
			case errors.Is(err, os.ErrDeadlineExceeded) && backlogDrops() != drops:
				conn.SetDeadline(time.Now().Add(patience / 100))
				io.Copy(io.Discard, conn) // the answers to what was not lost
			default:
				t.Errorf("the flow from %v to %s: %v", conn.LocalAddr(), dst, err)
				return
			}
			time.Sleep(2 * time.Millisecond) // there is more to do than this
		}
	})
}

// askTogether sends a few questions at once, and expects one answer to each.
func askTogether(conn net.Conn, text string, n int) error {
	conn.SetDeadline(time.Now().Add(patience))
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
	t.Logf("%d flows, %d answers, %d of them by the kernel", flows, answers, fast)
	return answers, fast
}

// TestFastPathUnderOrders: while the kernel forwards flows, reloads, upgrades, drains and rules of a packet
// filter come and go. No datagram is lost or goes to another flow, each is counted once, and the flows go
// back to the kernel each time.
func TestFastPathUnderOrders(t *testing.T) {
	t.Parallel()
	needFastPath(t)
	r := newRig(t)
	p := r.edge.serveWith(t, fastStormFile)
	f := newFamily(t, p)
	s := r.newFastStorm(t, p)
	s.settles(t)
	for range soak(2, 50) {
		p.write(t, fastStormFile+"udp_idle_timeout = \"5m\"\n")
		p.reloads(t)
		s.settles(t)
		p.write(t, fastStormFile)
		p.reloads(t)
		f.upgrade(t)
		s.settles(t)
		p.asks(t, "drain")
		p.asks(t, "drain --undo")
		s.settles(t)
	}
	s.ends(t)
}

// asks gives an order, which must do.
func (p *proxy) asks(t *testing.T, line string) {
	t.Helper()
	if got := p.ask(t, line); got.status != 0 {
		t.Fatalf("%s: %+v", line, got)
	}
}
