package steering

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"anyport/bpf"
	"anyport/config"
)

// limited is the config of one route, with a limit, of both protocols.
func limited(newConns, datagrams int) *config.Config {
	cfg := managed("192.0.2.0/24", "2001:db8:1::/48")
	r := cfg.Routes[0]
	r.NewConnsPerSecond, r.DatagramsPerSecond, r.UDPIdle = newConns, datagrams, time.Minute
	return cfg
}

// from is a first packet to the limited route from a client's port.
func from(protocol config.Protocol, port uint16) packet {
	return packet{protocol, netip.MustParseAddrPort("192.0.2.1:80"), netip.AddrPortFrom(netip.MustParseAddr("198.51.100.1"), port)}
}

// never is when a bucket is full again that a test has emptied.
const never = uint64(math.MaxInt64)

// emptyBucket leaves no token to the route.
func emptyBucket(t *testing.T, s *Steering, route string) {
	t.Helper()
	if err := s.objects.Buckets.Put(s.numbers[route], bpf.SteerBucket{Full: never}); err != nil {
		t.Fatal(err)
	}
}

func checkJudged(t *testing.T, j *judge, what string, p packet, want Verdict) {
	t.Helper()
	if got := j.judge(t, p); got != want {
		t.Errorf("%s: %v from %v: %s, want %s", what, p.protocol, p.client, got, want)
	}
}

// TestRate: a second's worth at once, and then as many as the time that passes is worth.
func TestRate(t *testing.T) {
	const perSecond = 500
	for name, test := range map[string]struct {
		cfg      *config.Config
		protocol config.Protocol
		over     Verdict
	}{
		"conns":     {limited(perSecond, 0), config.TCP, Refuse},
		"flows":     {limited(perSecond, 0), config.UDP, Refuse},
		"datagrams": {limited(0, perSecond), config.UDP, Drop},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, test.cfg)
			j := newJudge(t, s)
			seen, begun := map[Verdict]float64{}, time.Now()
			for port := range uint16(3 * perSecond) {
				seen[j.judge(t, from(test.protocol, 1024+port))]++
			}
			most := perSecond * (1 + time.Since(begun).Seconds())
			if n := seen[Steer]; n < perSecond || n > most {
				t.Errorf("%v steered, want from %d to %v", n, perSecond, most)
			}
			if seen[Steer]+seen[test.over] != 3*perSecond {
				t.Errorf("%v, and what is over should %s", seen, test.over)
			}
			checkCounted(t, s, "all", Limit, uint64(seen[test.over]))
			checkCounted(t, s, "all", Steer, uint64(seen[Steer]))
		})
	}
}

// TestAdmittedAgain: what was admitted is looked at again without a token: of a
// handshake a few times, of a flow as long as it lives.
func TestAdmittedAgain(t *testing.T) {
	s := open(t, limited(5, 0))
	j := newJudge(t, s)
	conn, flow := from(config.TCP, 1024), from(config.UDP, 1024)
	checkJudged(t, j, "the first look", conn, Steer)
	checkJudged(t, j, "the first look", flow, Steer)
	emptyBucket(t, s, "all")
	for i := range 8 {
		checkJudged(t, j, fmt.Sprint("look ", i+2), conn, Steer)
	}
	checkJudged(t, j, "beyond any handshake", conn, Refuse)
	for i := range 100 {
		checkJudged(t, j, fmt.Sprint("datagram ", i+2), flow, Steer)
	}
	for name, p := range map[string]packet{
		"another port":     from(config.UDP, 1025),
		"another client":   {config.UDP, flow.dst, netip.MustParseAddrPort("198.51.100.2:1024")},
		"another dst":      {config.UDP, netip.MustParseAddrPort("192.0.2.2:80"), flow.client},
		"another dst port": {config.UDP, netip.MustParseAddrPort("192.0.2.1:81"), flow.client},
	} {
		checkJudged(t, j, name, p, Refuse)
	}
}

// TestFlowEnds: a flow that was idle for too long has to be admitted anew.
func TestFlowEnds(t *testing.T) {
	cfg := limited(5, 0)
	cfg.Routes[0].UDPIdle = time.Nanosecond
	s := open(t, cfg)
	j := newJudge(t, s)
	checkJudged(t, j, "the first datagram", from(config.UDP, 1024), Steer)
	emptyBucket(t, s, "all")
	checkJudged(t, j, "a datagram after a pause", from(config.UDP, 1024), Refuse)
}

// TestBudgetOfEachDst: one that gets too much takes nothing from the others.
func TestBudgetOfEachDst(t *testing.T) {
	s := open(t, limited(0, 1000))
	j := newJudge(t, s)
	victim, other := from(config.UDP, 1024), from(config.UDP, 1024)
	other.dst = netip.MustParseAddrPort("192.0.2.2:80")
	checkJudged(t, j, "a first datagram", victim, Steer)
	spend(t, s)
	for i := range uint16(10) {
		checkJudged(t, j, "whoever sends it", from(config.UDP, 1024+i), Drop)
	}
	checkJudged(t, j, "to another address", other, Steer)
	checkJudged(t, j, "a conn", from(config.TCP, 1024), Steer)
	checkCounted(t, s, "all", Limit, 10)
}

// spend leaves nothing of the budgets that there are.
func spend(t *testing.T, s *Steering) {
	t.Helper()
	spent := 0
	for key, full, all := (bpf.SteerDst{}), uint64(0), s.objects.Budgets.Iterate(); all.Next(&key, &full); spent++ {
		if err := s.objects.Budgets.Put(key, never); err != nil {
			t.Fatal(err)
		}
	}
	if spent == 0 {
		t.Fatal("no dst has a budget")
	}
}

// TestLimitsOutliveReloads: neither a reload nor another process gives a route new
// tokens, or forgets whom it has admitted.
func TestLimitsOutliveReloads(t *testing.T) {
	s := open(t, limited(5, 0))
	j := newJudge(t, s)
	checkJudged(t, j, "the first", from(config.UDP, 1024), Steer)
	emptyBucket(t, s, "all")
	cfg := limited(7, 0)
	cfg.Routes = append([]*config.Route{route("more", "1-65535", "192.0.2.7")}, cfg.Routes...)
	cfg.Routes[0].NewConnsPerSecond = 1
	replace(t, s, cfg)
	checkJudged(t, j, "admitted before", from(config.UDP, 1024), Steer)
	checkJudged(t, j, "a new one", from(config.UDP, 1025), Refuse)

	next := inherit(t, cfg, copies(t, s.Handover()))
	if err := s.Release(); err != nil {
		t.Fatal(err)
	}
	j = newJudge(t, next)
	checkJudged(t, j, "admitted before the hand-over", from(config.UDP, 1024), Steer)
	checkJudged(t, j, "a new one after it", from(config.UDP, 1026), Refuse)

	replace(t, next, managed("192.0.2.0/24"))
	checkJudged(t, j, "with no limit any more", from(config.UDP, 1027), Steer)
}

// TestHandshakeUnderCookies: SYN cookies show the program a conn twice, and one token
// is enough for it.
func TestHandshakeUnderCookies(t *testing.T) {
	inNamespace(t)
	if err := os.WriteFile("/proc/sys/net/ipv4/tcp_syncookies", []byte("2"), 0); err != nil { // 2: always
		t.Fatal(err)
	}
	s := openHere(t, limited(1, 0))
	dst := netip.MustParseAddrPort("192.0.2.1:80")
	if got := knockTCP(t, s, dst); got != Steer {
		t.Fatalf("with one token: %s", got)
	}
	checkCounted(t, s, "all", Steer, 2)
	for _, use := range uses(t, s) {
		if time.Duration(use.Ns) > time.Second+time.Second/32 {
			t.Errorf("the network's account has %v, want a conn's: 1s and what it began with", time.Duration(use.Ns))
		}
	}
	emptyBucket(t, s, "all")
	if got := knockTCP(t, s, dst); got != Refuse {
		t.Errorf("with none: %s", got)
	}
	checkCounted(t, s, "all", Limit, 1)
}

// TestLimitsWithPackets: a flow goes on when the bucket is empty; what is over the
// budget of its dst gets no answer at all.
func TestLimitsWithPackets(t *testing.T) {
	s := open(t, limited(5, 1000))
	dst := netip.MustParseAddrPort("192.0.2.1:80")
	old, err := net.Dial("udp", dst.String())
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	send := func() { old.Write([]byte("x")) }
	if send(); !received(t, s.UDP()[0]) {
		t.Fatal("the first datagram is lost")
	}
	emptyBucket(t, s, "all")
	if send(); !received(t, s.UDP()[0]) {
		t.Error("a datagram of a flow that was admitted is lost")
	}
	host := hostListeners(t, 80)
	if got := knockUDP(t, s, host, dst); got != Refuse {
		t.Errorf("a new flow: %s", got)
	}
	spend(t, s)
	if got := knockUDP(t, s, host, dst); got != Drop {
		t.Errorf("a datagram over the budget: %s", got)
	}
}

// TestRoomToRemember: handshakes of some seconds, and the flows that there can be.
func TestRoomToRemember(t *testing.T) {
	for _, test := range []struct {
		protocols []config.Protocol
		perSecond int
		maxFlows  int
		want      int
	}{
		{[]config.Protocol{config.TCP}, 0, 0, 0},
		{[]config.Protocol{config.TCP}, 100, 0, 1000},
		{[]config.Protocol{config.TCP}, 1e9, 0, 1 << 16},
		{[]config.Protocol{config.UDP}, 100, 0, 1 << 16},
		{[]config.Protocol{config.UDP}, 100, 2000, 2000},
		{[]config.Protocol{config.UDP}, 100, math.MaxInt32, 1 << 18},
		{[]config.Protocol{config.TCP, config.UDP}, 100, 2000, 3000},
	} {
		r := route("r", "80", "192.0.2.1")
		r.Protocols, r.NewConnsPerSecond, r.MaxFlows = test.protocols, test.perSecond, test.maxFlows
		if got := compile(t, r).admissions(); got != test.want {
			t.Errorf("%+v: %d", test, got)
		}
	}
}
