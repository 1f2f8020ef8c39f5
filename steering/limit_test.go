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
	"anyport/steering/internal/tabletest"
	"anyport/steering/netnstest"
	"anyport/steering/program"
	"anyport/steering/table"
)

// limited is the config of one route, with a limit, of both protocols.
func limited(newConns, datagrams int) *config.Config {
	cfg := tabletest.Managed("192.0.2.0/24", "2001:db8:1::/48")
	r := cfg.Routes[0]
	r.NewConnsPerSecond, r.DatagramsPerSecond, r.UDPIdle = newConns, datagrams, time.Minute
	return cfg
}

// from is a first packet to the limited route from a client's port.
func from(protocol config.Protocol, port uint16) program.Packet {
	return program.Packet{Protocol: protocol, Dst: netip.MustParseAddrPort("192.0.2.1:80"), Client: netip.AddrPortFrom(netip.MustParseAddr("198.51.100.1"), port)}
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

func checkJudged(t *testing.T, j *judge, what string, p program.Packet, want table.Verdict) {
	t.Helper()
	if got := j.judge(t, p); got != want {
		t.Errorf("%s: %v from %v: %s, want %s", what, p.Protocol, p.Client, got, want)
	}
}

// TestRate: a second's worth at once, and then as many as the time that passes is worth.
func TestRate(t *testing.T) {
	const perSecond = 500
	for name, test := range map[string]struct {
		cfg      *config.Config
		protocol config.Protocol
		over     table.Verdict
	}{
		"conns":     {limited(perSecond, 0), config.TCP, table.Refuse},
		"flows":     {limited(perSecond, 0), config.UDP, table.Refuse},
		"datagrams": {limited(0, perSecond), config.UDP, table.Drop},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, test.cfg)
			j := newJudge(t, s)
			seen, begun := map[table.Verdict]float64{}, time.Now()
			for port := range uint16(3 * perSecond) {
				seen[j.judge(t, from(test.protocol, 1024+port))]++
			}
			// The kernel's clock for BPF (ktime_get_mono_fast_ns) may be tens of milliseconds off, on a virtual machine.
			const clockSlack = 0.2
			most := perSecond * (1 + clockSlack + time.Since(begun).Seconds())
			if n := seen[table.Steer]; n < perSecond || n > most {
				t.Errorf("%v steered, want from %d to %v", n, perSecond, most)
			}
			if seen[table.Steer]+seen[test.over] != 3*perSecond {
				t.Errorf("%v, and what is over should %s", seen, test.over)
			}
			checkCounted(t, s, "all", table.Limit, uint64(seen[test.over]))
			checkCounted(t, s, "all", table.Steer, uint64(seen[table.Steer]))
		})
	}
}

// TestAdmittedAgain: what was admitted is looked at again without a token: of a
// handshake a few times, of a flow as long as it lives.
func TestAdmittedAgain(t *testing.T) {
	s := open(t, limited(5, 0))
	j := newJudge(t, s)
	conn, flow := from(config.TCP, 1024), from(config.UDP, 1024)
	checkJudged(t, j, "the first look", conn, table.Steer)
	checkJudged(t, j, "the first look", flow, table.Steer)
	emptyBucket(t, s, "all")
	for i := range 8 {
		checkJudged(t, j, fmt.Sprint("look ", i+2), conn, table.Steer)
	}
	checkJudged(t, j, "beyond any handshake", conn, table.Refuse)
	for i := range 100 {
		checkJudged(t, j, fmt.Sprint("datagram ", i+2), flow, table.Steer)
	}
	for name, p := range map[string]program.Packet{
		"another port":     from(config.UDP, 1025),
		"another client":   {Protocol: config.UDP, Dst: flow.Dst, Client: netip.MustParseAddrPort("198.51.100.2:1024")},
		"another dst":      {Protocol: config.UDP, Dst: netip.MustParseAddrPort("192.0.2.2:80"), Client: flow.Client},
		"another dst port": {Protocol: config.UDP, Dst: netip.MustParseAddrPort("192.0.2.1:81"), Client: flow.Client},
	} {
		checkJudged(t, j, name, p, table.Refuse)
	}
}

// TestFlowEnds: a flow that was idle for too long has to be admitted again.
func TestFlowEnds(t *testing.T) {
	cfg := limited(5, 0)
	cfg.Routes[0].UDPIdle = time.Nanosecond
	s := open(t, cfg)
	j := newJudge(t, s)
	checkJudged(t, j, "the first datagram", from(config.UDP, 1024), table.Steer)
	emptyBucket(t, s, "all")
	checkJudged(t, j, "a datagram after a pause", from(config.UDP, 1024), table.Refuse)
}

// TestBudgetOfEachDst: one that gets too much takes nothing from the others.
func TestBudgetOfEachDst(t *testing.T) {
	s := open(t, limited(0, 1000))
	j := newJudge(t, s)
	victim, other := from(config.UDP, 1024), from(config.UDP, 1024)
	other.Dst = netip.MustParseAddrPort("192.0.2.2:80")
	checkJudged(t, j, "a first datagram", victim, table.Steer)
	spend(t, s)
	for i := range uint16(10) {
		checkJudged(t, j, "whoever sends it", from(config.UDP, 1024+i), table.Drop)
	}
	checkJudged(t, j, "to another address", other, table.Steer)
	checkJudged(t, j, "a conn", from(config.TCP, 1024), table.Steer)
	checkCounted(t, s, "all", table.Limit, 10)
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
// tokens, or forgets which clients it has admitted.
func TestLimitsOutliveReloads(t *testing.T) {
	s := open(t, limited(5, 0))
	j := newJudge(t, s)
	checkJudged(t, j, "the first", from(config.UDP, 1024), table.Steer)
	emptyBucket(t, s, "all")
	cfg := limited(7, 0)
	cfg.Routes = append([]*config.Route{tabletest.Route("more", "1-65535", "192.0.2.7")}, cfg.Routes...)
	cfg.Routes[0].NewConnsPerSecond = 1
	replace(t, s, cfg)
	checkJudged(t, j, "admitted before", from(config.UDP, 1024), table.Steer)
	checkJudged(t, j, "a new one", from(config.UDP, 1025), table.Refuse)

	next := inherit(t, cfg, copies(t, s.Handover()))
	if err := s.Release(); err != nil {
		t.Fatal(err)
	}
	j = newJudge(t, next)
	checkJudged(t, j, "admitted before the hand-over", from(config.UDP, 1024), table.Steer)
	checkJudged(t, j, "a new one after it", from(config.UDP, 1026), table.Refuse)

	replace(t, next, tabletest.Managed("192.0.2.0/24"))
	checkJudged(t, j, "with no limit any more", from(config.UDP, 1027), table.Steer)
}

// TestHandshakeUnderCookies: SYN cookies show the program a conn twice, and one token
// is enough for it.
func TestHandshakeUnderCookies(t *testing.T) {
	netnstest.InNamespace(t)
	if err := os.WriteFile("/proc/sys/net/ipv4/tcp_syncookies", []byte("2"), 0); err != nil { // 2: always
		t.Fatal(err)
	}
	s := openHere(t, limited(1, 0))
	dst := netip.MustParseAddrPort("192.0.2.1:80")
	if got := knockTCP(t, s, dst); got != table.Steer {
		t.Fatalf("with one token: %s", got)
	}
	checkCounted(t, s, "all", table.Steer, 2)
	for _, use := range uses(t, s) {
		if time.Duration(use.Ns) > time.Second+time.Second/32 {
			t.Errorf("the network's account has %v, want a conn's: 1s and what it began with", time.Duration(use.Ns))
		}
	}
	emptyBucket(t, s, "all")
	if got := knockTCP(t, s, dst); got != table.Refuse {
		t.Errorf("with none: %s", got)
	}
	checkCounted(t, s, "all", table.Limit, 1)
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
	if got := knockUDP(t, s, host, dst); got != table.Refuse {
		t.Errorf("a new flow: %s", got)
	}
	spend(t, s)
	if got := knockUDP(t, s, host, dst); got != table.Drop {
		t.Errorf("a datagram over the budget: %s", got)
	}
}
