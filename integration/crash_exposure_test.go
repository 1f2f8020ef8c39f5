package integration

import (
	"context"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// pinRoot is where anyport looks for a bpffs by default.
const pinRoot = "/sys/fs/bpf"

// withBPFFS mounts a bpffs there for the processes that start on the host from now on, with
// the mode that systemd uses.
func (h *host) withBPFFS(t *testing.T) {
	t.Helper()
	if err := h.Mount("bpf", pinRoot, "mode=0700"); err != nil {
		t.Fatal(err)
	}
}

// TestDeath kills anyport, with a file that does not mention steering, while a service
// of the host listens on all addresses and clients keep asking. The service never
// answers on a served address. With a bpffs the kernel refuses; without, the addresses
// are not local any more.
func TestDeath(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, onDeath, then string
		prepare             func(*host, *testing.T)
	}{
		{"pinned", "refused", refused, (*host).withBPFFS},
		{"not pinned", "unreachable", silent, func(*host, *testing.T) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.edge.answerAllErrors(t)
			c.prepare(r.edge, t)
			r.edge.both(t, ":9999", named("host"))
			r.origin.both(t, "10.0.0.5:9999", named("origin"))
			r.origin.both(t, "[fd00:5::5]:9999", named("origin"))
			served := []string{dstV4 + ":9999", "[" + dstV6 + "]:9999"}
			p := r.edge.serveWith(t, relayFile)
			running := p.process
			asked := r.client.keepAsking(t, served...)
			for range soak(3, 100) {
				r.reach(t, "origin", served...)
				if got := p.status(t).Steering.OnDeath; got != c.onDeath {
					t.Errorf("on_death is %q, want %q", got, c.onDeath)
				}
				running.signal(t, syscall.SIGKILL)
				running.wait(t)
				r.reach(t, c.then, served...)
				running = p.restart(t)
			}
			r.reach(t, "origin", served...)
			if exposed, answers := asked(); exposed > 0 || answers == 0 {
				t.Errorf("the host's service answered %d times, the origin %d times", exposed, answers)
			} else {
				t.Logf("the origin answered %d times", answers)
			}
			running.signal(t, syscall.SIGTERM)
			running.signal(t, syscall.SIGINT) // at once
			running.wait(t)
			r.edge.spawn(t, exec.Command(program, "unload", "-c", p.file)).expect(t, "nothing was left")
			r.edge.leavesNoPins(t)
		})
	}
}

// leavesNoPins checks the bpffs that processes on the host see.
func (h *host) leavesNoPins(t *testing.T) {
	t.Helper()
	list := h.spawn(t, exec.Command("ls", "-A", pinRoot))
	list.wait(t)
	if left := list.String(); strings.Contains(left, "anyport") {
		t.Errorf("in %s is left %s", pinRoot, left)
	}
}

// keepAsking sends questions over TCP and UDP as fast as they go. The function that it
// returns ends that, and says how often the host and the origin answered.
func (h *host) keepAsking(t *testing.T, dsts ...string) (stop func() (host, origin int64)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	var answers answerCounts
	var asking sync.WaitGroup // ended by stop, or with the test
	for _, dst := range dsts {
		for _, network := range []string{"tcp", "udp"} {
			asking.Go(func() { h.do(func() { answers.keepAsking(ctx, network, netip.MustParseAddrPort(dst)) }) })
		}
	}
	return func() (int64, int64) {
		cancel()
		asking.Wait()
		return answers.host.Load(), answers.origin.Load()
	}
}

// answerCounts says how often the host and the origin answered.
type answerCounts struct{ host, origin atomic.Int64 }

// keepAsking opens conn after conn, or sends datagram after datagram from one socket.
func (c *answerCounts) keepAsking(ctx context.Context, network string, dst netip.AddrPort) {
	pause := map[string]time.Duration{"tcp": 20 * time.Millisecond, "udp": time.Millisecond}[network]
	pace := time.NewTicker(5 * time.Millisecond) // the kernel sends 1,000 ICMP errors a second at most
	defer pace.Stop()
	for ctx.Err() == nil {
		<-pace.C
		conn, err := (&net.Dialer{Timeout: pause}).Dial(network, dst.String())
		if err != nil {
			continue
		}
		for range map[string]int{"tcp": 1, "udp": 1000}[network] {
			conn.SetDeadline(time.Now().Add(pause))
			_, _ = conn.Write([]byte("who?\n")) // tells of the ICMP error of the one before
			c.hear(conn)
			<-pace.C
		}
		conn.Close()
	}
}

func (c *answerCounts) hear(conn net.Conn) {
	buffer := make([]byte, 64)
	n, err := conn.Read(buffer)
	if err != nil {
		return
	}
	switch name, _, _ := strings.Cut(string(buffer[:n]), " "); name {
	case "host":
		c.host.Add(1)
	case "origin":
		c.origin.Add(1)
	}
}
