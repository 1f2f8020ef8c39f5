package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fault is what the origin's host does with SYNs to a port. Established conns go on, so that nothing
// but a dial can fail.
type fault string

const (
	noFault    fault = ""
	killed     fault = "-j REJECT --reject-with tcp-reset" // as where nobody listens any more
	forbidden  fault = "-j REJECT --reject-with icmp-port-unreachable"
	blackholed fault = "-j DROP"
)

// failing are origins at consecutive ports of the origin's host, each with its fault.
type failing struct {
	host   *host
	first  int
	faults []fault
}

// newFailing serves n origins that answer a line after delay.
func newFailing(t *testing.T, h *host, first, n int, delay func(i int) time.Duration) *failing {
	needTool(t, "iptables")
	for i := range n {
		h.serve(t, fmt.Sprintf("%s:%d", originV4, first+i), func(conn net.Conn) {
			time.Sleep(delay(i))
			replyOnce(conn, named(fmt.Sprint(i)))
		})
	}
	return &failing{h, first, make([]fault, n)}
}

// set gives an origin a fault, or takes it away.
func (f *failing) set(t *testing.T, i int, to fault) {
	t.Helper()
	rule := func(what string, fault fault) {
		f.host.output(t, "sh", "-c", fmt.Sprintf("iptables -w %s INPUT -p tcp --syn --dport %d %s", what, f.first+i, fault))
	}
	if to != noFault {
		rule("-A", to)
	}
	if before := f.faults[i]; before != noFault {
		rule("-D", before)
	}
	f.faults[i] = to
}

// askers are clients that each ask one question, so many a second as the machine takes, up to a rate.
type askers struct {
	asked, failed atomic.Int64
	mu            sync.Mutex
	why           map[string]int
	stop          chan struct{}
	clients       sync.WaitGroup
}

// startLoad starts clients of dst, which ask until end.
func startLoad(h *host, dst string, perSecond int) *askers {
	l := &askers{why: map[string]int{}, stop: make(chan struct{})}
	const clients = 50
	every := time.Second * clients / time.Duration(perSecond)
	for range clients {
		l.clients.Go(func() {
			ticker := time.NewTicker(every)
			defer ticker.Stop()
			for {
				select {
				case <-l.stop:
					return
				case <-ticker.C:
					l.ask(h, dst)
				}
			}
		})
	}
	return l
}

func (l *askers) ask(h *host, dst string) {
	l.asked.Add(1)
	if err := askLine(h, dst); err != nil {
		l.failed.Add(1)
		l.mu.Lock()
		l.why[err.Error()]++
		l.mu.Unlock()
	}
}

// askLine asks one question over a conn of its own.
func askLine(h *host, dst string) error {
	conn, err := h.tryDial("tcp", "", dst)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		return err
	}
	_, err = bufio.NewReader(conn).ReadString('\n')
	return err
}

// end stops the clients, and fails the test if one of them had an error.
func (l *askers) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.clients.Wait()
	if n := l.failed.Load(); n > 0 || l.asked.Load() == 0 {
		t.Errorf("%d of %d clients had an error: %v", n, l.asked.Load(), l.why)
	}
}

// TestOriginsFail has origins be killed, forbidden by a firewall, blackholed, slow and flapping, and return,
// while 500 clients a second ask: no client sees an error as long as an origin is up, with and without
// checks. With checks it also measures how soon an origin that returned is up again, in `make soak`
// against rise × interval + 1 s.
func TestOriginsFail(t *testing.T) {
	t.Parallel()
	for balance, health := range map[string]string{
		"round_robin": "health = { interval = \"300ms\", rise = 2, fall = 2 }",
		"source_hash": "", // nothing but ejection
	} {
		t.Run(balance, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			slow := func(i int) time.Duration { return time.Duration(i/3) * 50 * time.Millisecond } // the last one
			f := newFailing(t, r.origin, 4001, 4, slow)
			p := r.edge.serveWith(t, fmt.Sprintf(`
[route.web]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.5:4001", "10.0.0.5:4002", "10.0.0.5:4003", "10.0.0.5:4004"]
balance  = %q
connect_timeout = "300ms"
%s
`, balance, health))
			l := startLoad(r.client, dstV4+":80", 500)
			began := time.Now()
			var returns []time.Duration
			rounds := 1 // each further one doubles the time of ejection
			if health != "" {
				rounds = soak(1, 20)
			}
			for range rounds {
				returns = append(returns, f.failAndReturn(t, p, health != ""))
			}
			took := time.Since(began)
			l.end(t)
			t.Logf("%d conns in %v, %.0f a second, none with an error", l.asked.Load(), took.Round(time.Millisecond), float64(l.asked.Load())/took.Seconds())
			slices.Sort(returns)
			most := returns[len(returns)-1]
			t.Logf("up again after %v to %v, median %v of %d (rise × interval is 600ms)", returns[0], most, returns[len(returns)/2], len(returns))
			if bound := 600*time.Millisecond + time.Second; health != "" && len(returns) > 1 && most > bound {
				t.Errorf("an origin that returned was down for %v, want %v at most", most, bound)
			}
		})
	}
}

// failAndReturn has the first three origins fail, each in its way, and returns how long it took from
// their return until all were up.
func (f *failing) failAndReturn(t *testing.T, p *proxy, checked bool) time.Duration {
	t.Helper()
	f.set(t, 0, killed)
	f.set(t, 1, blackholed)
	for range 4 { // flapping, while only the slow one is well all the time
		f.set(t, 2, killed)
		time.Sleep(250 * time.Millisecond)
		f.set(t, 2, noFault)
		time.Sleep(250 * time.Millisecond)
	}
	if checked {
		p.awaitStates(t, "check_failed", 0, 1)
	}
	f.set(t, 0, forbidden)
	f.set(t, 2, blackholed)
	time.Sleep(time.Second)
	for i := range 3 {
		f.set(t, i, noFault)
	}
	returned := time.Now()
	p.awaitStates(t, "up", 0, 1, 2, 3)
	return time.Since(returned).Round(time.Millisecond)
}

// awaitStates waits until these origins of the first route have a state.
func (p *proxy) awaitStates(t *testing.T, state string, origins ...int) {
	t.Helper()
	eventually(t, fmt.Sprintf("origins %v are %s", origins, state), func() bool {
		all := p.status(t).Routes[0].Origins
		for _, i := range origins {
			if all[i].State != state {
				return false
			}
		}
		return true
	})
}
