package integration

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestNewConns opens more conns than new_conns_per_second admits. Each is either
// refused at its SYN or served. With SYN cookies the kernel keeps no state between SYN
// and ACK; the limit must not kill a handshake that it admitted.
func TestNewConns(t *testing.T) {
	t.Parallel()
	for _, cookies := range []string{"1", "2"} { // when the queue is full, and always
		t.Run("tcp_syncookies="+cookies, func(t *testing.T) {
			t.Parallel()
			const limit, clients = 40, 400
			r := newRig(t)
			r.edge.sysctl(t, map[string]string{"net/ipv4/tcp_syncookies": cookies})
			r.origin.serve(t, "10.0.0.5:4711", echo)
			p := r.edge.serveWith(t, fmt.Sprintf("[route.few]\nprotocol = \"tcp\"\nprefixes = [%q]\norigins = [\"10.0.0.5\"]\nnew_conns_per_second = %d\n", servedV4, limit))
			var served, turnedAway atomic.Uint64
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					for range clients / 8 {
						conn, err := r.client.tryDial("tcp", "", dstV4+":4711")
						if err == nil {
							conn.SetDeadline(time.Now().Add(patience))
							err = hearBack(conn, "let in")
							conn.Close()
						}
						switch {
						case err == nil:
							served.Add(1)
						case outcome(err) == refused:
							turnedAway.Add(1)
						default:
							t.Error("neither served nor refused:", err)
						}
					}
				})
			}
			all.Wait()
			t.Logf("%d served, %d refused", served.Load(), turnedAway.Load())
			got := p.status(t).route(t, "few")
			if got.ConnsTotal != served.Load() || got.Limited != turnedAway.Load() || served.Load() < limit || turnedAway.Load() == 0 {
				t.Errorf("status tells of %d conns, %d beyond the limit", got.ConnsTotal, got.Limited)
			}
			if cookies == "2" {
				words := strings.Fields(r.edge.output(t, "nstat", "-asz", "TcpExtSyncookiesRecv"))
				if want := fmt.Sprint(served.Load()); words[2] != want {
					t.Errorf("the kernel has seen %s cookies come back, want %s", words[2], want)
				}
			}
		})
	}
}

// TestNewFlows uses up new_conns_per_second: new flows are refused, and existing ones
// continue.
func TestNewFlows(t *testing.T) {
	t.Parallel()
	const limit = 20
	r := newRig(t)
	r.edge.answerAllErrors(t)
	r.origin.answer(t, "10.0.0.5:4711", named("origin"))
	p := r.edge.serveWith(t, fmt.Sprintf("[route.few]\nprotocol = \"udp\"\nprefixes = [%q]\norigins = [\"10.0.0.5\"]\nnew_conns_per_second = %d\nmax_flows = 1000\n", servedV4, limit))
	dst := netip.MustParseAddrPort(dstV4 + ":4711")
	old := r.client.dial(t, "udp", dst.String())
	trade(t, old, "first")
	seen := map[string]int{}
	for range 10 * limit {
		seen[r.client.ask("udp", dst, "origin")]++
		if got := trade(t, old, "goes on"); got != "origin goes on" {
			t.Fatalf("the old flow was answered %q", got)
		}
	}
	if len(seen) != 2 || seen["origin"] < limit-1 || seen[refused] == 0 {
		t.Errorf("new flows met %v", seen)
	}
	if got := p.status(t).route(t, "few").Limited; got != uint64(seen[refused]) {
		t.Errorf("%d counted as limited, %v met", got, seen)
	}
}

// TestDatagramBudget floods one dst above its datagrams_per_second: another dst of the
// same route loses nothing.
func TestDatagramBudget(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.answer(t, "10.0.0.5:4711", named("origin"))
	p := r.edge.serveWith(t, fmt.Sprintf("[route.some]\nprotocol = \"udp\"\nprefixes = [%q]\norigins = [\"10.0.0.5\"]\ndatagrams_per_second = 200\n", servedV4))
	flooded, other := r.client.dial(t, "udp", dstV4+":4711"), r.client.dial(t, "udp", "192.0.2.8:4711")
	for n := range 100 {
		for range 50 {
			if _, err := flooded.Write([]byte("flood")); err != nil && outcome(err) != refused {
				t.Fatal(err)
			}
		}
		if got := trade(t, other, fmt.Sprint("question ", n)); got != fmt.Sprint("origin question ", n) {
			t.Fatalf("question %d: %q", n, got)
		}
	}
	if got := p.status(t).route(t, "some").Limited; got == 0 {
		t.Error("nothing was counted as limited")
	}
}

// TestRoomForFiles checks that the table of file descriptors has its full size from the
// start: while the kernel grows it, threads that open a file wait.
func TestRoomForFiles(t *testing.T) {
	t.Parallel()
	p := newRig(t).edge.serveWith(t, fmt.Sprintf("[route.all]\nprotocol = \"udp\"\nprefixes = [%q]\norigins = [\"10.0.0.5\"]\n", servedV4))
	var limit unix.Rlimit
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, size, _ := strings.Cut(string(status), "FDSize:")
	var files uint64
	if _, err := fmt.Sscan(size, &files); err != nil {
		t.Fatal(err)
	}
	if want := min(limit.Cur, 1<<18); files < want {
		t.Errorf("room for %d files, want %d", files, want)
	}
}

// TestForgedSYNs floods a route that has new_conns_per_second with SYNs from the hosts
// of one network: all clients of other networks get in.
func TestForgedSYNs(t *testing.T) {
	t.Parallel()
	for _, cookies := range []string{"1", "2"} { // when the queue is full, and always
		t.Run("tcp_syncookies="+cookies, func(t *testing.T) {
			t.Parallel()
			const limit, clients = 40, 20
			r := newRig(t)
			r.edge.sysctl(t, map[string]string{"net/ipv4/tcp_syncookies": cookies})
			for _, networks := range []string{"198.18.0.0/16", "203.0.113.0/24"} {
				r.edge.route(t, networks, clientV4)
			}
			r.client.local(t, "198.18.0.0/16")
			r.origin.serve(t, "10.0.0.5:4711", echo)
			p := r.edge.serveWith(t, fmt.Sprintf("[route.few]\nprotocol = \"tcp\"\nprefixes = [%q]\norigins = [\"10.0.0.5\"]\nnew_conns_per_second = %d\n", servedV4, limit))
			stop := r.client.forgeSYNs(t, "203.0.113.0", dstV4+":4711", 400)
			for poll := time.Now(); p.status(t).route(t, "few").Limited == 0; {
				if time.Since(poll) > patience {
					t.Fatal("the flood stays below the limit")
				}
			}
			for n := range clients {
				conn, err := r.client.tryDial("tcp", fmt.Sprintf("198.18.%d.1", n), dstV4+":4711")
				if err != nil {
					t.Errorf("a client of network %d: %v", n, err)
					continue
				}
				conn.SetDeadline(time.Now().Add(patience))
				if err := hearBack(conn, "let in"); err != nil {
					t.Errorf("a client of network %d: %v", n, err)
				}
				conn.Close()
			}
			t.Logf("%d SYNs forged, %d refused", stop(), p.status(t).route(t, "few").Limited)
		})
	}
}
