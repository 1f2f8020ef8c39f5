package integration

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// fewFiles runs anyport with a file limit that a test can exhaust, and without the
// capability to raise it.
func fewFiles(files int) func(file string) *exec.Cmd {
	return func(file string) *exec.Cmd {
		return exec.Command("setpriv", "--bounding-set=-sys_resource", "prlimit", fmt.Sprintf("--nofile=%d:%d", files, files), program, "run", "-c", file)
	}
}

// TestGreedyClient has one client open as many idle conns as it can, from one IPv4
// address or from many addresses of one IPv6 /64. Everything else continues to work:
// commands, a reload, an upgrade, new flows, and new conns of other clients.
func TestGreedyClient(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	for _, c := range []struct {
		name, dst     string
		greedy, other func(n int) string // source addresses
	}{
		{"IPv4", dstV4 + ":4711", func(int) string { return clientV4 }, func(n int) string { return fmt.Sprintf("198.18.5.%d", n+1) }},
		{"IPv6", "[" + dstV6 + "]:4711", func(n int) string { return fmt.Sprintf("2001:db8:e::%x", n+1) }, func(n int) string { return fmt.Sprintf("2001:db8:f:%x::1", n) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			const files, greed = 400, 400
			raiseFiles(t, 1<<14)
			r := newRig(t)
			r.client.sysctl(t, map[string]string{"net/ipv6/ip_nonlocal_bind": "1"})
			for prefix, by := range map[string]string{"198.18.5.0/24": clientV4, "2001:db8:e::/64": clientV6, "2001:db8:f::/48": clientV6} {
				r.client.local(t, prefix)
				r.edge.route(t, prefix, by)
			}
			for _, origin := range []string{"10.0.0.5:4711", "[" + originV6 + "]:4711"} {
				r.origin.serve(t, origin, func(conn net.Conn) { // echo would splice, by more files
					replyAll(conn, func(piece []byte) []byte { return piece })
				})
				r.origin.answer(t, origin, named("origin"))
			}
			access := t.TempDir() + "/access.log"
			p := r.edge.launchAs(t, fewFiles(files), fmt.Sprintf("[log]\nformat = \"json\"\naccess = %q\n%s", access, relayFile))
			p.expect(t, `"serving"`)
			f := newFamily(t, p)

			for n := range greed {
				conn, err := r.client.tryDial("tcp", c.greedy(n), c.dst)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
			}
			eventually(t, "the files are used up", func() bool { return p.openFiles(t) > files*2/3 })
			p.keepsReserve(t, f)

			for n := range 3 {
				conn, err := r.client.tryDial("tcp", c.other(n), c.dst)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(patience))
				talk(t, conn, "let in")
				flow, err := r.client.tryDial("udp", c.other(n), c.dst)
				if err != nil {
					t.Fatal(err)
				}
				defer flow.Close()
				flow.SetDeadline(time.Now().Add(patience))
				if got := trade(t, flow, "question"); got != "origin question" {
					t.Errorf("a new flow was answered %q", got)
				}
				if got := anyport(t, "reload", "--socket", p.socket); got.status != 0 {
					t.Errorf("reload: %+v", got)
				}
				f.upgrade(t)
				p.keepsReserve(t, f)
				talk(t, conn, "still here")
				if got := trade(t, flow, "again"); got != "origin again" {
					t.Errorf("the flow was answered %q", got)
				}
			}
			p.gaveWay(t, access, netip.MustParsePrefix(map[string]string{"IPv4": clientV4 + "/32", "IPv6": "2001:db8:e::/64"}[c.name]))
		})
	}
}

// keepsReserve checks that the process has no more files open than its status reports, so
// the reserve is unused, except for the command that asks.
func (p *proxy) keepsReserve(t *testing.T, f *family) {
	t.Helper()
	const commands = 10
	eventually(t, "the reserve is left", func() bool {
		open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", f.pids[len(f.pids)-1]))
		if err != nil {
			t.Fatal(err)
		}
		return len(open) <= p.openFiles(t)+commands
	})
}

// openFiles returns the numbers that the status reports.
func (p *proxy) openFiles(t *testing.T) int {
	t.Helper()
	var s struct {
		Used int `json:"files_used"`
	}
	if err := json.Unmarshal(p.statusJSON(t), &s); err != nil {
		t.Fatal(err)
	}
	return s.Used
}

// gaveWay checks that some conns of the greedy client gave way, and no others.
func (p *proxy) gaveWay(t *testing.T, access string, greedy netip.Prefix) {
	t.Helper()
	text, err := os.ReadFile(access)
	if err != nil {
		t.Fatal(err)
	}
	evicted := 0
	for line := range strings.Lines(string(text)) {
		var r struct{ Verdict, Client string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if r.Verdict != "evicted" {
			continue
		}
		evicted++
		if !greedy.Contains(netip.MustParseAddrPort(r.Client).Addr()) {
			t.Errorf("a conn of another client gave way: %s", line)
		}
	}
	if evicted == 0 {
		t.Error("no conn gave way")
	}
}
