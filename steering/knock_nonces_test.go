package steering

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"anyport/config"
	"anyport/steering/internal/tabletest"
	"anyport/steering/program"
	"anyport/steering/table"
)

// doorbellConfig has a route that an authenticated datagram opens.
func doorbellConfig() *config.Config {
	r := tabletest.Route("ssh", "22", "192.0.2.0/24")
	r.Knock = config.Knock{Steps: []config.KnockStep{config.KnockSPA}, Window: time.Minute}
	return &config.Config{Knock: config.Doorbell{Port: 62201}, Routes: []*config.Route{r}}
}

// TestNonces: each counts once, and what was made before the map was, or before the nonces that are
// forgotten, not at all.
func TestNonces(t *testing.T) {
	s := open(t, doorbellConfig())
	start := time.Now().Truncate(time.Second)
	later := start.Add(10 * time.Minute)
	for _, test := range []struct {
		name      string
		nonce     byte
		made, now time.Time
		want      bool
	}{
		{"before the start", 1, start.Add(-time.Second), start, false},
		{"after it", 2, start.Add(5 * time.Second), start, true},
		{"again", 2, start.Add(5 * time.Second), start, false},
		{"again with another time", 2, start.Add(6 * time.Second), start, false},
		{"long after", 3, later, later, true},
		{"the first, forgotten", 2, start.Add(5 * time.Second), later, false},
		{"the same after the clock was set back", 2, start.Add(5 * time.Second), start, false},
		{"none", 0, later, later, false},
	} {
		if got, err := s.ClaimNonce([16]byte{test.nonce}, test.made, test.now); err != nil || got != test.want {
			t.Errorf("%s: %t %v", test.name, got, err)
		}
	}
}

// TestDoorbellBudget: of a flood the kernel passes no more than the rate and what may come at once,
// and drops the rest; a client of another network still gets through.
func TestDoorbellBudget(t *testing.T) {
	s := open(t, doorbellConfig())
	j := newJudge(t, s)
	random := rand.New(rand.NewPCG(5, 6))
	dst := netip.MustParseAddrPort("192.0.2.1:62201")
	begun, passed, sent := time.Now(), 0, 0
	for ; sent < 30_000; sent++ {
		from := netip.AddrFrom4([4]byte{198, 51, 100, byte(random.Uint32())})
		switch got := j.judge(t, program.Packet{Protocol: config.UDP, Dst: dst, Client: netip.AddrPortFrom(from, uint16(random.Uint32()))}); got {
		case table.Steer:
			passed++
		case table.Drop:
		default:
			t.Fatalf("a datagram: %s", got)
		}
	}
	most := int(float64(table.DoorbellRate) * (2.1 + time.Since(begun).Seconds()))
	if passed > most || passed == 0 {
		t.Errorf("%d of %d datagrams passed in %s, want at most %d", passed, sent, time.Since(begun), most)
	}
	if got := j.verdict(t, config.UDP, dst, netip.MustParseAddr("203.0.113.9")); got != table.Steer {
		t.Errorf("a client of another network: %s", got)
	}
}
