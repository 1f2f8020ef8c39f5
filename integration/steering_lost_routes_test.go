package integration

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
)

const (
	askV4 = dstV4 + ":80"
	askV6 = "[" + dstV6 + "]:80"
)

// losing is an edge whose routes another program removes, with live conns and flows of
// both families.
type losing struct {
	*rig
	p     *proxy
	conns []net.Conn
}

// newLosing serves file, where run starts anyport.
func newLosing(t *testing.T, prepare func(*host, *testing.T), run func(string) *exec.Cmd, file string) *losing {
	t.Helper()
	r := newRig(t)
	prepare(r.edge, t)
	for _, origin := range []string{"10.0.0.5", "[fd00:5::5]"} {
		r.origin.both(t, origin+":80", named("origin"))
		r.origin.serve(t, origin+":4711", echo)
		r.origin.answer(t, origin+":4711", func(datagram []byte) []byte { return datagram })
	}
	p := r.edge.launchAs(t, run, "http = \"127.0.0.1:9765\"\n"+file)
	p.expect(t, "msg=serving")
	l := &losing{rig: r, p: p}
	for _, dst := range []string{dstV4 + ":4711", "[" + dstV6 + "]:4711"} {
		for _, network := range []string{"tcp", "udp"} {
			conn := r.client.dial(t, network, dst)
			talk(t, conn, "before")
			l.conns = append(l.conns, conn)
		}
	}
	return l
}

// serves waits until new conns and datagrams of both families arrive again, and uses the
// live conns.
func (l *losing) serves(t *testing.T, after string) {
	t.Helper()
	for _, dst := range []string{askV4, askV6} {
		for _, network := range []string{"tcp", "udp"} {
			eventually(t, fmt.Sprintf("%s %s is served after %s", network, dst, after), func() bool {
				return l.client.ask(network, netip.MustParseAddrPort(dst), silent) == "origin"
			})
		}
	}
	for _, conn := range l.conns {
		talk(t, conn, after)
	}
}

// egressLost is a file with an egress prefix.
const egressLost = `
[route.egress]
protocol = "udp"
prefixes = ["203.0.113.0/24"]
origins  = ["10.0.0.5"]
egress_prefixes = ["10.9.0.0/24"]
`

// restored returns the number of local routes that anyport restored.
func (l *losing) restored(t *testing.T) int {
	t.Helper()
	return l.p.status(t).Steering.Restored
}

// TestLostRoutes removes the local routes as other programs do. anyport restores them
// without a reload, live conns continue, and log, status and metrics report it. It
// works the same if the routes refer to lo, to anyport's device, and if anyport has
// become another user.
func TestLostRoutes(t *testing.T) {
	t.Parallel()
	nothing := func(*host, *testing.T) {}
	for _, c := range []struct {
		name, steering string
		prepare        func(*host, *testing.T)
		run            func(string) *exec.Cmd
		more           string // commands
	}{
		{"on lo", "", (*host).withBPFFS, anyportRun, ""},
		{"on a device", "", nothing, anyportRun, "ip link del anyport0"},
		{"as another user", "[steering]\nuser = \"65534\"\n", (*host).openTUN, func(path string) *exec.Cmd {
			give(t, path, "65534")
			return anyportRun(path)
		}, "ip link set anyport0 down"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newLosing(t, c.prepare, c.run, c.steering+relayFile+egressLost)
			count := 0
			for _, test := range []struct {
				commands string
				lost     int
			}{
				{"ip route del local 192.0.2.0/24 table local", 1},
				{"ip -6 route del local 2001:db8:1::/48 table local", 1},
				{"ip route del local 10.9.0.0/24 table local", 1},
				{"ip route flush table local proto 169\nip -6 route flush table local proto 169", 3},
				{"ip link set lo down\nip link set lo up", 0},
				{c.more, 0},
			} {
				if test.commands == "" {
					continue
				}
				l.edge.run(t, test.commands)
				l.serves(t, test.commands)
				count += test.lost
				eventually(t, fmt.Sprintf("%d routes are put back after %s", count, test.commands), func() bool { return l.restored(t) >= count })
			}
			l.p.expect(t, "level=WARN", "somebody else has removed local routes: they are there again", "192.0.2.0/24")
			_, metrics := l.edge.fetch(t, http.MethodGet, "/metrics")
			restored := fmt.Sprintf("anyport_steering_routes_restored_total %d\n", l.restored(t))
			if !strings.Contains(metrics, restored) || !strings.Contains(metrics, "anyport_steering_missing 0\n") {
				t.Errorf("no %q in the metrics", restored)
			}
			if text := anyport(t, "status", "--socket", l.p.socket).stdout; !strings.Contains(text, "put back after others removed them") || strings.Contains(text, "MISSING") {
				t.Errorf("status: %s", text)
			}
		})
	}
}

// TestMissing removes what anyport cannot or must not restore. Status, drift, doctor
// and explain report it as long as it is missing.
func TestMissing(t *testing.T) {
	t.Parallel()
	l := newLosing(t, (*host).withBPFFS, anyportRun, strings.Replace(relayFile, `"192.0.2.0/24"`, `"192.0.2.0/24", "203.0.113.7"`, 1)+`
[route.sourced]
protocol = "tcp"
prefixes = ["192.0.2.200"]
origins  = ["10.0.0.5"]
source   = ["10.0.0.9"]
`)
	l.edge.run(t, "ip addr add 10.0.0.9/32 dev origin0\nip addr add 203.0.113.7/32 dev lo")
	if got := anyport(t, "reload", "--socket", l.p.socket); got.status != 0 { // now the address keeps its prefix local
		t.Fatalf("reload: %+v", got)
	}
	if drift := anyport(t, "status", "--drift", "--socket", l.p.socket); drift.status != 0 {
		t.Fatalf("drift: %+v", drift)
	}
	for _, test := range []struct{ take, give, says, dst string }{
		{"ip link set lo down", "ip link set lo up", "the interface lo is down: ip link set lo up", dstV6},
		{"ip route replace blackhole 192.0.2.0/24 table local", "ip route del blackhole 192.0.2.0/24 table local", "the route local 192.0.2.0/24 dev lo is missing", dstV4},
		{"ip rule add pref 10 lookup main\nip rule del pref 0", "ip rule add pref 0 lookup local\nip rule del pref 10", "no routing rule looks up the local table: ip rule add pref 0 lookup local", dstV4},
		{"ip addr del 10.0.0.9/32 dev origin0", "ip addr add 10.0.0.9/32 dev origin0", `10.0.0.9, a source of route "sourced", is not an address of this host`, ""},
	} {
		l.edge.run(t, test.take)
		l.missing(t, test.says, test.dst)
		l.p.expect(t, "level=ERROR", "the steering is not as it should be")
		l.edge.run(t, test.give)
		eventually(t, "nothing is missing after "+test.give, func() bool { return len(l.p.status(t).Steering.Missing) == 0 })
		l.serves(t, test.give)
	}

	l.p.expect(t, "the last conn has ended on the prefixes that a reload dropped") // and with it our route
	// An address that kept a served prefix local may have moved to another host.
	l.edge.run(t, "ip addr del 203.0.113.7/32 dev lo")
	l.missing(t, "203.0.113.7/32 is not local any more", "203.0.113.7")
	if got := anyport(t, "reload", "--socket", l.p.socket); got.status != 0 {
		t.Fatalf("reload: %+v", got)
	}
	if got := l.p.status(t).Steering.Missing; len(got) > 0 {
		t.Errorf("after a reload: %q", got)
	}
}

// missing expects every command that reports faults to name the missing thing; explain is
// asked about a dst.
func (l *losing) missing(t *testing.T, says, dst string) {
	t.Helper()
	eventually(t, "status tells: "+says, func() bool { return strings.Contains(strings.Join(l.p.status(t).Steering.Missing, "\n"), says) })
	text := anyport(t, "status", "--socket", l.p.socket).stdout // which breaks lines
	if !strings.Contains(text, "MISSING") || !strings.Contains(strings.Join(strings.Fields(text), " "), says) {
		t.Errorf("status: %s", text)
	}
	if drift := anyport(t, "status", "--drift", "--socket", l.p.socket); drift.status != 1 || !strings.Contains(drift.stdout, says) {
		t.Errorf("drift: %+v", drift)
	}
	if report, _ := l.edge.doctor(t, l.p.file, nil); !strings.Contains(report.found("routes"), says) {
		t.Errorf("doctor: %q", report.found("routes"))
	}
	if dst == "" {
		return
	}
	if explain := anyport(t, "explain", "--socket", l.p.socket, "tcp", netip.AddrPortFrom(netip.MustParseAddr(dst), 80).String()); !strings.Contains(explain.stdout, "kernel: but ") {
		t.Errorf("explain: %+v", explain)
	}
}
