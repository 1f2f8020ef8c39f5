package origin

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/health"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// willing picks n times for dst port 53, and tells who was picked in order.
func willing(p *Pool, n int, now time.Time) (names string) {
	for i := range n {
		if o := p.Pick(Ask{Client: clientAt(i), Protocol: config.UDP, Port: 53, Now: now}); o != nil {
			names += o.Text
		} else {
			names += "-"
		}
	}
	return names
}

// TestPassesOver: no mode takes an origin that refuses while another is there, and all take
// turns as before where all refuse.
func TestPassesOver(t *testing.T) {
	for _, b := range []config.Balance{config.RoundRobin, config.LeastConn, config.Random, config.SourceHash, config.First} {
		p := pool(b, 1, 1, 1)
		p.Origins[0].Refuse(53, false, noon)
		if got := willing(p, 30, noon); strings.Contains(got, "a") {
			t.Errorf("%s: a refuses, and these are picked: %s", b, got)
		}
		if got := willing(p, 60, noon.Add(health.FirstWait)); !strings.Contains(got, "a") {
			t.Errorf("%s: a is free to be tried again, and these are picked: %s", b, got)
		}
		p.Origins[1].Refuse(53, true, noon)
		p.Origins[2].Refuse(53, false, noon)
		got := willing(p, 60, noon)
		if strings.Contains(got, "-") || b != config.First && (!strings.Contains(got, "a") || !strings.Contains(got, "b")) {
			t.Errorf("%s: all refuse, and these are picked: %s", b, got)
		}
	}
}

// TestBackupsForWhoRefuses: backups come where all others refuse, and drained origins never.
func TestBackupsForWhoRefuses(t *testing.T) {
	r := &config.Route{Origins: []config.Origin{server("a", 1), server("drained", 0), server("b", 1)}}
	r.Origins[2].Backup = true
	p := NewPool(r, nil)
	p.Origins[0].Refuse(53, false, noon)
	if got := willing(p, 2, noon); got != "bb" {
		t.Errorf("%s, want the backup", got)
	}
	p.Origins[2].Refuse(53, false, noon)
	if got := willing(p, 2, noon); got != "aa" {
		t.Errorf("all refuse: %s, want aa", got)
	}
	if again := NewPool(r, p); again.Origins[0].Willing(53, noon) {
		t.Error("a reload has forgotten who refuses")
	}
}

// TestWaits: the time doubles up to half a minute, and begins again after an answer, or after
// half a minute without a refusal.
func TestWaits(t *testing.T) {
	o := pool(config.First, 1).Origins[0]
	now := noon
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		want *= time.Second
		if got := o.Refuse(53, false, now); got.First != (i == 0) || got.Lasts != (i > 0) {
			t.Errorf("refusal %d: %+v", i+1, got)
		}
		o.Refuse(53, false, now.Add(want/2)) // is not counted twice
		if o.Willing(53, now.Add(want-1)) || !o.Willing(53, now.Add(want)) {
			t.Errorf("refusal %d does not hold for %v", i+1, want)
		}
		now = now.Add(want)
	}
	if got := o.Refuse(53, false, now.Add(health.LongestWait)); !got.First || got.Lasts {
		t.Errorf("after a long time: %+v", got)
	}
	if !o.Answer(53) || o.Answer(53) || !o.Willing(53, now.Add(health.LongestWait)) {
		t.Error("an answer does not count, or counts twice")
	}
}

// TestPortsOfOneOrigin: a closed port says nothing of the others of an origin that keeps the
// client's port, and all of one that has a single port.
func TestPortsOfOneOrigin(t *testing.T) {
	many, one := pool(config.First, 1).Origins[0], pool(config.First, 1).Origins[0]
	one.Ports = config.PortRange{First: 53, Last: 53}
	many.Refuse(53, false, noon)
	one.Refuse(53, false, noon)
	if many.Willing(53, noon) || !many.Willing(54, noon) || many.RefusedPorts(config.UDP, noon) != 1 {
		t.Error("not port 53 alone is left out")
	}
	if _, down := many.RefusedSince(config.UDP, noon); down {
		t.Error("an origin with one closed port is down")
	}
	if since, down := one.RefusedSince(config.UDP, noon); !down || since != noon || one.RefusedPorts(config.UDP, noon) != 0 {
		t.Error("an origin whose only port is closed is not down")
	}
	many.Refuse(54, true, noon)
	if _, down := many.RefusedSince(config.UDP, noon); !down || many.Willing(55, noon) {
		t.Error("an origin out of reach is not down")
	}
}

// TestScanFillsNothing: a scan of all ports leaves no more than the bound, and what is over
// makes room.
func TestScanFillsNothing(t *testing.T) {
	o := pool(config.First, 1).Origins[0]
	for port := range 65535 {
		o.Refuse(uint16(port+1), false, noon)
	}
	if n := o.refusals(config.UDP).known.Load(); n != maxRefused {
		t.Errorf("%d ports are known, want %d", n, maxRefused)
	}
	later := noon.Add(health.FirstWait + health.LongestWait)
	if got := o.Refuse(60000, false, later); !got.First || o.Willing(60000, later) || o.RefusedPorts(config.UDP, later) != 1 {
		t.Error("there is no room for a new one when the others are over")
	}
}

// plainRefusals is the oracle: every refusal that ever was of one port, since the last answer.
type plainRefusals []time.Time

func (p plainRefusals) holdsUntil() (until time.Time) {
	wait := time.Duration(0)
	for _, at := range p {
		switch {
		case wait == 0 || at.Sub(until) >= 30*time.Second:
			wait = time.Second
		case at.Before(until):
			continue
		default:
			wait = min(2*wait, 30*time.Second)
		}
		until = at.Add(wait)
	}
	return until
}

// TestRefusalsAtRandom compares with the oracle, for a few ports and both kinds.
func TestRefusalsAtRandom(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		o, now := pool(config.First, 1).Origins[0], noon
		plain := map[uint16]plainRefusals{}
		for range 100 {
			now = now.Add(time.Duration(random.Int64N(int64(time.Second) << random.IntN(7))))
			port := uint16(1 + random.IntN(3))
			switch random.IntN(8) {
			case 0:
				o.Answer(port)
				delete(plain, port)
				delete(plain, whole)
			case 1:
				o.Refuse(port, true, now)
				plain[whole] = append(plain[whole], now)
			default:
				o.Refuse(port, false, now)
				plain[port] = append(plain[port], now)
			}
			for port := range uint16(4) {
				want := !now.Before(plain[port].holdsUntil()) && !now.Before(plain[whole].holdsUntil())
				if got := o.Willing(port, now); got != want {
					t.Fatalf("port %d at %v: willing is %v, want %v, after %v", port, now, got, want, plain)
				}
			}
		}
	}
}
