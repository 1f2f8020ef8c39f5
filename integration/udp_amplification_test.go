package integration

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

const bareFile = `
[route.all]
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
protocol = "udp"
origins  = ["10.0.0.5:4711"]
`

// TestFirstAnswer checks that by default a short question gets its longer answer.
func TestFirstAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	answer := strings.Repeat("answer ", 40)
	r.origin.answer(t, "10.0.0.5:4711", func([]byte) []byte { return []byte(answer) })
	r.edge.serveWith(t, bareFile)
	for _, dst := range []string{dstV4 + ":4711", "[" + dstV6 + "]:4711"} {
		if got := trade(t, r.client.dial(t, "udp", dst), "hi?"); got != answer {
			t.Errorf("%s: %d bytes came back, want %d", dst, len(got), len(answer))
		}
	}
	stdin, typing, err := os.Pipe() // ncat ends with its input
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	defer typing.Close()
	ncat := exec.Command(needTool(t, "ncat"), "--udp", dstV4, "4711")
	ncat.Stdin = stdin
	heard := r.client.spawn(t, ncat)
	typing.WriteString("hi\n")
	heard.expect(t, strings.TrimSpace(answer))
}

// A forger sends in the name of a network: where it sends from, and what its origin answers
// to each datagram.
const (
	victimNetwork = "203.0.113.0/24"
	answerParts   = 300
	answerPart    = 1400
)

// TestForgedSources has a forger send datagrams in the name of many hosts of one
// network, several from each, to an origin that answers a byte with 420,000. The
// network gets at most three times what was sent in its name and its budget, however
// often the forger sent before eight turns; the status and one line of the log report
// the rest.
func TestForgedSources(t *testing.T) {
	t.Parallel()
	const hosts, questions, budget = 20, 3, 1 << 20 // amplification_budget's default
	r := newRig(t)
	r.edge.route(t, victimNetwork, clientV4)
	r.client.local(t, victimNetwork)
	asked := make(chan netip.AddrPort, hosts*questions)
	r.serveParts(t, asked)
	p := r.edge.serveWith(t, bareFile)

	start := time.Now()
	victims := newVictims(t, r.client, hosts)
	for range questions {
		for _, v := range victims.conns {
			if _, err := v.Write([]byte("?")); err != nil {
				t.Fatal(err)
			}
			<-asked // all of the answer is on its way
		}
	}
	eventually(t, "most answers are counted", func() bool { // under load the edge's socket may lose some
		return p.status(t).route(t, "all").datagrams("to_client") >= hosts*questions*answerParts/2
	})
	got, elapsed := victims.close(), time.Since(start)
	most := 3*hosts*questions + budget*(1+elapsed.Seconds())
	t.Logf("%d bytes sent in its name, %d came in %v; at most %.0f could", hosts*questions, got, elapsed, most)
	if float64(got) > most || got < budget/2 {
		t.Errorf("%d bytes came, want between half a budget and %.0f", got, most)
	}
	status := p.status(t).route(t, "all")
	if n := status.Datagrams["to_client"]["amplified"]; status.HeldBack < n || status.HeldBack > n*answerPart || n == 0 {
		t.Errorf("%d bytes in %d datagrams are counted as held back", status.HeldBack, n)
	}
	if text := anyport(t, "status", "--socket", p.socket); !strings.Contains(text.stdout, "held back   route all: ") {
		t.Errorf("status: %+v", text)
	}
	p.expect(t, "level=WARN", "answers are held back", "route=all", "amplification_budget", "docs/explanation/abuse.md")
	if n := strings.Count(p.String(), "answers are held back"); n != 1 {
		t.Errorf("the log says so %d times, want once", n)
	}
}

// serveParts has the origin answer each datagram at length, and then name who asked.
func (r *rig) serveParts(t *testing.T, asked chan<- netip.AddrPort) {
	t.Helper()
	var origin *net.UDPConn
	part, ready := make([]byte, answerPart), make(chan bool)
	origin = r.origin.answerTo(t, "10.0.0.5:4711", func(_ []byte, from netip.AddrPort) []byte {
		<-ready
		origin.WriteToUDPAddrPort(part[:1], from) // within three times what was asked
		for i := range answerParts {
			if i%20 == 0 {
				time.Sleep(time.Millisecond) // a burst is more than the edge's socket holds
			}
			origin.WriteToUDPAddrPort(part, from)
		}
		asked <- from
		return nil
	})
	close(ready)
}

func (s routeStatus) datagrams(direction string) (n uint64) {
	for _, of := range s.Datagrams[direction] {
		n += of
	}
	return n
}

// victims are sockets of a network's hosts, and count what they are sent.
type victims struct {
	conns []*net.UDPConn
	bytes []int
	all   sync.WaitGroup // of the readers, which end with the sockets
}

func newVictims(t *testing.T, h *host, n int) *victims {
	t.Helper()
	v := &victims{bytes: make([]int, n)}
	addr := netip.MustParsePrefix(victimNetwork).Addr()
	for i := range n {
		addr = addr.Next()
		conn, err := h.tryDial("udp", addr.String(), dstV4+":4711")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		v.conns = append(v.conns, conn.(*net.UDPConn))
		v.all.Go(func() {
			buffer := make([]byte, 1<<16)
			for {
				n, err := conn.Read(buffer)
				if err != nil {
					return
				}
				v.bytes[i] += n
			}
		})
	}
	return v
}

// close returns how many bytes have come.
func (v *victims) close() (sum int) {
	for _, conn := range v.conns {
		conn.SetReadDeadline(time.Now().Add(silence))
	}
	v.all.Wait()
	for _, n := range v.bytes {
		sum += n
	}
	return sum
}
