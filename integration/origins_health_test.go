package integration

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// TestFlowsLeaveADownOrigin: a UDP flow whose origin fails its checks is answered by another one from
// its next datagram on with on_down = "close", and stays with "keep".
func TestFlowsLeaveADownOrigin(t *testing.T) { onBothPaths(t, leavesADownOrigin) }

func leavesADownOrigin(t *testing.T, r *rig) {
	var mute atomic.Bool // the first origin does not answer checks
	for i, name := range []string{"a", "b"} {
		r.origin.answer(t, fmt.Sprintf("%s:%d", originV4, 4001+i), func(question []byte) []byte {
			switch {
			case string(question) != "ping":
				return named(name)(question)
			case i == 0 && mute.Load():
				return nil
			}
			return []byte("pong")
		})
	}
	route := func(name, prefix, onDown string) string {
		return fmt.Sprintf(`
[route.%s]
protocol = "udp"
prefixes = [%q]
origins  = ["10.0.0.5:4001", "10.0.0.5:4002"]
balance  = "first"
on_down  = %q
health   = "ping"
`, name, prefix, onDown)
	}
	p := r.edge.serveWith(t, "[health.ping]\ntype = \"udp\"\ninterval = \"1s\"\ntimeout = \"1s\"\nsend = \"ping\"\nexpect = \"pong\"\nfall = 1\n"+
		route("close", "192.0.2.0/24", "close")+route("keep", "198.18.0.0/16", "keep"))
	closing, keeping := r.client.dial(t, "udp", "192.0.2.7:53"), r.client.dial(t, "udp", "198.18.0.7:53")
	asks := func(flow net.Conn) string { return strings.Fields(question(t, flow, "who?"))[0] }
	p.awaitChecked(t, 0, 0)
	if a, b := asks(closing), asks(keeping); a != "a" || b != "a" {
		t.Fatalf("flows begin with %s and %s", a, b)
	}
	for range 12 { // the kernel may forward a flow after eight
		asks(closing)
		asks(keeping)
	}
	mute.Store(true)
	p.awaitStates(t, "check_failed", 0)
	if got := asks(closing); got != "b" {
		t.Errorf("on_down = \"close\": %s answers", got)
	}
	if got := asks(keeping); got != "a" {
		t.Errorf("on_down = \"keep\": %s answers", got)
	}
	if got := asks(r.client.dial(t, "udp", "198.18.0.7:54")); got != "b" {
		t.Errorf("a new flow is answered by %s", got)
	}
	mute.Store(false)
	p.awaitStates(t, "up", 0)
	p.expect(t, "an origin is down: its checks fail", "because=")
	p.expect(t, "an origin is up: its checks pass")
}

// awaitChecked waits for the first check of an origin.
func (p *proxy) awaitChecked(t *testing.T, route, origin int) {
	t.Helper()
	eventually(t, "an origin was checked", func() bool { return p.status(t).Routes[route].Origins[origin].CheckedAt != nil })
}

const orderedFile = `
[route.web]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.5:4001", "10.0.0.5:4002", "10.0.0.5:4003"]
balance  = "first"
on_all_down = "refuse"
[route.web.health]
interval = "200ms"
`

// TestHealthOverUpgrade: forced states and what checks have found go on over a reload and an upgrade. A
// route without an origin stays refused in the kernel meanwhile, and is served once one is up.
func TestHealthOverUpgrade(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4001", func(conn net.Conn) { replyOnce(conn, named("a")) })
	r.origin.serve(t, "10.0.0.5:4002", func(conn net.Conn) { replyOnce(conn, named("b")) })
	p := r.edge.serveWith(t, orderedFile)
	f := newFamily(t, p)
	dst := netip.MustParseAddrPort("192.0.2.7:80")
	order := func(args ...string) {
		t.Helper()
		if got := anyport(t, append(append([]string{"origin"}, args...), "--socket", p.socket)...); got.status != 0 {
			t.Fatalf("%v: %+v", args, got)
		}
	}
	p.awaitStates(t, "check_failed", 2)
	order("down", "web/10.0.0.5:4001")
	if got := r.client.ask("tcp", dst, "b"); got != "b" {
		t.Errorf("a is down, and %s answers", got)
	}
	order("drain", "web/10.0.0.5:4002")
	for _, change := range []func(){
		func() {},
		func() {
			if got := anyport(t, "reload", "--socket", p.socket); got.status != 0 {
				t.Fatalf("reload: %+v", got)
			}
		},
		func() { f.upgrade(t) },
		func() { f.upgrade(t) },
	} {
		change()
		if got := r.client.ask("tcp", dst, refused); got != refused {
			t.Errorf("no origin is up, and %s answers", got)
		}
		route := p.status(t).Routes[0]
		if a, b, c := route.Origins[0], route.Origins[1], route.Origins[2]; a.State != "forced_down" || a.Forced != "down" || b.Forced != "drain" || c.State != "check_failed" {
			t.Errorf("the states are now %+v", route.Origins)
		}
		if n := route.Ended["tcp"]["no_origin"]; n != 0 || route.Draining {
			t.Errorf("not the kernel has refused %d conns, or the route drains", n)
		}
	}
	order("ready", "web/10.0.0.5:4001")
	if got := r.client.ask("tcp", dst, "a"); got != "a" {
		t.Errorf("a is ready, and %s answers", got)
	}
	order("ready", "web/10.0.0.5:4002")
	order("weight", "web/10.0.0.5:4001", "0")
	if got := r.client.ask("tcp", dst, "b"); got != "b" {
		t.Errorf("a has no weight, and %s answers", got)
	}
}

// TestAllDownAndCrash: where the steering is pinned, a route that the kernel refused because its origin
// was down is served after a crash, if the origin is up by then. It is not taken for one that drains.
func TestAllDownAndCrash(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	bpffs := t.TempDir()
	if err := r.edge.Mount("bpf", bpffs); err != nil {
		t.Fatal(err)
	}
	p := r.edge.serveWith(t, fmt.Sprintf("[steering]\npin = %q\n", filepath.Join(bpffs, "anyport"))+
		strings.Replace(orderedFile, `, "10.0.0.5:4002", "10.0.0.5:4003"`, "", 1))
	p.awaitStates(t, "check_failed", 0)
	p.expect(t, "no origin of the route is up: its new conns are refused in the kernel")
	p.signal(t, syscall.SIGKILL)
	p.wait(t)
	r.origin.serve(t, "10.0.0.5:4001", func(conn net.Conn) { replyOnce(conn, named("a")) })
	again := p.restart(t)
	dst := netip.MustParseAddrPort("192.0.2.7:80")
	if got := r.client.ask("tcp", dst, "a"); got != "a" {
		t.Errorf("after the crash: %s", got)
	}
	if p.status(t).Routes[0].Draining {
		t.Error("the route drains")
	}
	again.signal(t, syscall.SIGTERM)
	again.wait(t)
	if status := r.edge.spawn(t, exec.Command(program, "unload", "-c", p.file)).wait(t); status != 0 {
		t.Errorf("unload ended with %d", status)
	}
}
