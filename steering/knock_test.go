package steering

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/clock"
	"anyport/steering/internal/tabletest"
	"anyport/steering/program"
	"anyport/steering/table"
)

// knockConfig has two routes with a sequence on nested prefixes, and one without on the same.
func knockConfig() *config.Config {
	ssh := tabletest.Route("ssh", "22", "192.0.2.0/24", "2001:db8:1::/48")
	ssh.Knock = config.Knock{Steps: []config.KnockStep{7000, 8000, 9000}, Window: 30 * time.Second}
	ssh.Denied = config.Drop
	web := tabletest.Route("web", "443", "192.0.2.128/25")
	web.Knock = config.Knock{Steps: []config.KnockStep{4, 1, 3, 2, 5}, Window: 5 * time.Second}
	open := tabletest.Route("open", "80-90", "192.0.2.0/24")
	return &config.Config{Routes: []*config.Route{ssh, web, open}}
}

// knocks sends packets to the program at times of its own choice.
type knocks struct {
	*judge
	s      *Steering
	start  time.Duration
	secret uint64
}

func newKnocks(t testing.TB, s *Steering) *knocks {
	t.Helper()
	now := clock.Boot()
	var setup bpf.SteerKnockSetup
	if err := s.objects.KnockSetup.Lookup(uint32(0), &setup); err != nil {
		t.Fatal(err)
	}
	return &knocks{newJudge(t, s), s, now, setup.Secret}
}

// at sets the program's clock to that long after the start.
func (k *knocks) at(t testing.TB, after time.Duration) {
	t.Helper()
	if err := k.s.objects.KnockSetup.Put(uint32(0), bpf.SteerKnockSetup{Secret: k.secret, Now: uint64(k.start + after)}); err != nil {
		t.Fatal(err)
	}
}

func (k *knocks) send(t testing.TB, dst string, client netip.AddrPort) table.Verdict {
	t.Helper()
	return k.judge.judge(t, program.Packet{Protocol: config.TCP, Dst: netip.MustParseAddrPort(dst), Client: client})
}

// TestKnock: the sequence opens the route to that client, for the window, and nothing else.
func TestKnock(t *testing.T) {
	s := open(t, knockConfig())
	k := newKnocks(t, s)
	client, other := netip.MustParseAddrPort("198.51.100.7:40000"), netip.MustParseAddrPort("198.51.100.8:40000")
	next := func(i uint16) netip.AddrPort { return netip.AddrPortFrom(client.Addr(), client.Port()+i) }
	for _, test := range []struct {
		name  string
		ports []string
		opens bool
	}{
		{"in order", []string{"192.0.2.1:7000", "192.0.2.2:8000", "192.0.2.200:9000"}, true},
		{"out of order", []string{"192.0.2.1:8000", "192.0.2.1:7000", "192.0.2.1:9000"}, false},
		{"a wrong port", []string{"192.0.2.1:7000", "192.0.2.1:8000", "192.0.2.1:8001", "192.0.2.1:9000"}, false},
		{"a port of a route", []string{"192.0.2.1:7000", "192.0.2.1:8000", "192.0.2.1:80", "192.0.2.1:9000"}, false},
		{"one twice", []string{"192.0.2.1:7000", "192.0.2.1:7000", "192.0.2.1:8000", "192.0.2.1:8000", "192.0.2.1:9000"}, true},
		{"the first in the middle", []string{"192.0.2.1:7000", "192.0.2.1:8000", "192.0.2.1:7000", "192.0.2.1:9000"}, false},
		{"begun again", []string{"192.0.2.1:7000", "192.0.2.1:8000", "192.0.2.1:7000", "192.0.2.1:8000", "192.0.2.1:9000"}, true},
		{"elsewhere", []string{"192.0.2.1:7000", "192.0.2.1:8000", "203.0.113.1:9000"}, false},
	} {
		clearKnocks(t, s)
		for i, dst := range test.ports {
			if got := k.send(t, dst, next(uint16(i))); got == table.Steer && !strings.HasSuffix(dst, ":80") {
				t.Errorf("%s: %s is steered", test.name, dst)
			}
		}
		want := table.Drop
		if test.opens {
			want = table.Steer
		}
		if got := k.send(t, "192.0.2.9:22", client); got != want {
			t.Errorf("%s: %s, want %s", test.name, got, want)
		}
		if got := k.send(t, "192.0.2.9:22", other); got != table.Drop {
			t.Errorf("%s: another client: %s", test.name, got)
		}
		if got := k.send(t, "192.0.2.129:443", client); got != table.Refuse {
			t.Errorf("%s: another route: %s", test.name, got)
		}
	}
}

// clearKnocks forgets what was knocked, and closes all doors.
func clearKnocks(t testing.TB, s *Steering) {
	t.Helper()
	places := make([]uint32, knockWays*mostKnockRows)
	for i := range places {
		places[i] = uint32(i)
	}
	if _, err := s.objects.Knockers.BatchUpdate(places, make([]bpf.SteerKnocker, len(places)), nil); err != nil {
		t.Fatal(err)
	}
	for name := range s.numbers {
		if err := s.closeDoors(name); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKnockTimes: a SYN that is sent again counts once, a knock that takes too long nothing,
// and the door closes at its time.
func TestKnockTimes(t *testing.T) {
	s := open(t, knockConfig())
	k := newKnocks(t, s)
	client := netip.MustParseAddrPort("[2001:db8:f::7]:40000")
	again := func(i uint16) netip.AddrPort { return netip.AddrPortFrom(client.Addr(), client.Port()+i) }
	knock := func(last time.Duration) {
		k.at(t, 0)
		k.send(t, "[2001:db8:1::1]:7000", again(0))
		k.send(t, "[2001:db8:1::1]:8000", again(1))
		k.at(t, time.Second)
		k.send(t, "[2001:db8:1::1]:7000", again(0)) // both looks under SYN cookies, and the SYN again
		k.send(t, "[2001:db8:1::1]:8000", again(1))
		k.at(t, last)
		k.send(t, "[2001:db8:1::1]:9000", again(2))
	}
	for _, test := range []struct {
		last, conn time.Duration
		want       table.Verdict
	}{
		{2 * time.Second, 3 * time.Second, table.Steer},
		{9 * time.Second, 38 * time.Second, table.Steer},
		{9 * time.Second, 40 * time.Second, table.Drop},
		{11 * time.Second, 12 * time.Second, table.Drop},
	} {
		clearKnocks(t, s)
		knock(test.last)
		k.at(t, test.conn)
		if got := k.send(t, "[2001:db8:1::1]:22", client); got != test.want {
			t.Errorf("the last knock after %s, the conn after %s: %s, want %s", test.last, test.conn, got, test.want)
		}
	}
}

// naiveKnocks follows the words of the reference, with all that a client has ever sent.
type naiveKnocks struct {
	cfg  *config.Config
	seen map[netip.Addr][]naivePacket
	door map[string]time.Duration // by route and client, until when
}

type naivePacket struct {
	at     time.Duration
	dst    netip.AddrPort
	source uint16
}

// take judges a packet, and counts it.
func (n *naiveKnocks) take(now time.Duration, dst netip.AddrPort, client netip.AddrPort) table.Verdict {
	n.count(now, dst, client)
	d, _ := tabletest.Naive(n.cfg, config.TCP, dst, client.Addr())
	if d.Verdict == table.Steer && !n.admits(now, d.Route, client.Addr()) {
		return table.VerdictOf(d.Route.Denied)
	}
	return d.Verdict
}

// admits reports whether the route needs no door, or has one open to the client.
func (n *naiveKnocks) admits(now time.Duration, r *config.Route, client netip.Addr) bool {
	return r == nil || !r.Knock.Needed() || now < n.door[r.Name+client.String()]
}

func (n *naiveKnocks) count(now time.Duration, dst netip.AddrPort, client netip.AddrPort) {
	counts := false
	for _, r := range n.cfg.Routes {
		counts = counts || len(r.Knock.Ports()) > 0 && naiveServes(r, dst.Addr())
	}
	if counts {
		n.seen[client.Addr()] = append(n.seen[client.Addr()], naivePacket{now, dst, client.Port()})
		for _, r := range n.cfg.Routes {
			if n.opens(r, n.seen[client.Addr()]) {
				n.door[r.Name+client.Addr().String()] = now + r.Knock.Window
				n.seen[client.Addr()] = nil
			}
		}
	}
}

func naiveServes(r *config.Route, addr netip.Addr) bool {
	for _, p := range r.Prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// opens plays all that a client has sent, from the beginning.
func (n *naiveKnocks) opens(r *config.Route, all []naivePacket) bool {
	ports := r.Knock.Ports()
	if len(ports) == 0 {
		return false
	}
	var run []naivePacket // the knocks that count so far
	for _, p := range all {
		if len(run) > 0 && p.at-run[0].at >= table.KnockWithin {
			run = nil
		}
		mine := naiveServes(r, p.dst.Addr())
		switch last := len(run) - 1; {
		case mine && len(run) > 0 && p.dst.Port() == ports[len(run)]:
			run = append(run, p)
			if len(run) == len(ports) {
				return true
			}
		case mine && last > 0 && p.dst.Port() == ports[last], mine && naiveRepeats(run, p):
		case mine && p.dst.Port() == ports[0]:
			run = []naivePacket{p}
		default:
			run = nil
		}
	}
	return false
}

func naiveRepeats(run []naivePacket, p naivePacket) bool {
	for _, r := range run {
		if r.dst.Port() == p.dst.Port() && r.source == p.source {
			return true
		}
	}
	return false
}

// knockRounds is how many packets TestKnockAgrees judges.
func knockRounds() int {
	if os.Getenv("ANYPORT_SOAK") != "" {
		return 1_000_000
	}
	return 100_000
}

// TestKnockAgrees: kernel verdict = naive verdict for random packets, times and knocks so far.
// Most packets follow a sequence, so that doors do open.
func TestKnockAgrees(t *testing.T) {
	cfg := knockConfig()
	s := open(t, cfg)
	k := newKnocks(t, s)
	n := &naiveKnocks{cfg, map[netip.Addr][]naivePacket{}, map[string]time.Duration{}}
	random := rand.New(rand.NewPCG(14, 14))
	ports := []uint16{7000, 8000, 9000, 4, 1, 3, 2, 5, 22, 443, 80, 81, 91, 65535}
	dsts := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.129"), netip.MustParseAddr("192.0.2.254"), netip.MustParseAddr("203.0.113.1")}
	now, at, steered := time.Duration(0), map[netip.Addr]int{}, 0
	for i := range knockRounds() {
		// 3ms each, so that no two packets are exactly a bound apart.
		now += []time.Duration{3, 3, 103, 903, 2503}[random.IntN(5)] * time.Millisecond
		client := netip.AddrFrom4([4]byte{198, 51, 100, byte(random.IntN(6))})
		port := ports[random.IntN(len(ports))]
		if random.IntN(8) != 0 {
			port = [][]uint16{{7000, 8000, 9000, 22}, {4, 1, 3, 2, 5, 443}}[client.As4()[3]%2][at[client]]
			at[client] = (at[client] + 1) % []int{4, 6}[client.As4()[3]%2]
		}
		dst, from := dsts[random.IntN(20)/6], netip.AddrPortFrom(client, uint16(40000+random.IntN(3)))
		dstPort := netip.AddrPortFrom(dst, port)
		k.at(t, now)
		want := n.take(now, dstPort, from)
		if got := k.judge.judge(t, program.Packet{Protocol: config.TCP, Dst: dstPort, Client: from}); got != want {
			t.Fatalf("packet %d, %s after the start: %v from %v: the kernel says %s, want %s", i, now, dstPort, from, got, want)
		}
		if want == table.Steer && (port == 22 || port == 443) {
			steered++
		}
	}
	if steered < knockRounds()/100 {
		t.Errorf("only %d conns came through a door", steered)
	}
}

// TestKnockScan: a scan of all ports opens nothing, be it up, down or at random.
func TestKnockScan(t *testing.T) {
	s := open(t, knockConfig())
	k := newKnocks(t, s)
	scans := 6
	if os.Getenv("ANYPORT_SOAK") != "" {
		scans = 1000
	}
	random := rand.New(rand.NewPCG(1, 2))
	context := program.Packet{Protocol: config.TCP, Dst: netip.MustParseAddrPort("192.0.2.1:1"), Client: netip.MustParseAddrPort("198.51.100.7:40000")}.Context(0)
	ports := make([]uint32, 65535)
	for i := range scans {
		for j := range ports {
			ports[j] = uint32(j + 1)
		}
		switch i % 3 {
		case 1:
			slices.Reverse(ports)
		case 2:
			random.Shuffle(len(ports), func(i, j int) { ports[i], ports[j] = ports[j], ports[i] })
		}
		for _, port := range ports {
			binary.NativeEndian.PutUint32(context[60:], port)
			clear(context[:8]) // the cookie of the socket before
			if _, err := program.TestRun(k.program, context, 1); err != nil {
				t.Fatal(err)
			}
		}
		if doors, err := s.Doors(); err != nil || len(doors) > 0 {
			t.Fatalf("scan %d: %v %v", i, doors, err)
		}
	}
}

// TestTwoKnockRows: no client has one row in place of two.
func TestTwoKnockRows(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 100_000 {
		client := netip.AddrFrom4([4]byte{198, 51, 100, byte(random.Uint32())})
		if rows := knockRows(client, random.Uint64()); rows[0] == rows[1] {
			t.Fatalf("%s has row %d twice", client, rows[0])
		}
	}
}

// TestKnockFlood: while forged clients knock at the first port, from everywhere and with other
// addresses of the client's own network, the right knock opens every time.
func TestKnockFlood(t *testing.T) {
	s := open(t, knockConfig())
	k := newKnocks(t, s)
	random := rand.New(rand.NewPCG(3, 4))
	forged := 24 // from each, between two knocks: three times the places of a row
	if os.Getenv("ANYPORT_SOAK") != "" {
		forged = 256
	}
	forge := func(client netip.Addr) {
		for i := range forged {
			neighbour := client.As4()
			neighbour[3] += byte(1 + i)
			everywhere := netip.AddrFrom4([4]byte{byte(1 + random.IntN(223)), byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32())})
			for _, from := range []netip.Addr{netip.AddrFrom4(neighbour), everywhere} {
				if from != client {
					k.send(t, "192.0.2.1:7000", netip.AddrPortFrom(from, uint16(random.Uint32())))
				}
			}
		}
	}
	for try := range 1000 {
		client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(try >> 8), byte(try)}), 40000)
		for i, port := range []string{"7000", "8000", "9000"} {
			k.send(t, "192.0.2.1:"+port, netip.AddrPortFrom(client.Addr(), uint16(40000+i)))
			forge(client.Addr())
		}
		if got := k.send(t, "192.0.2.1:22", client); got != table.Steer {
			t.Fatalf("try %d: %s", try, got)
		}
	}
}
