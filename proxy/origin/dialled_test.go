package origin

import (
	"math/rand/v2"
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/health"
)

// failures notes n dials of o that fail at now, each begun the moment before.
func (p *Pool) failures(o *Origin, n int, f Failure, now time.Time) (ejected bool) {
	f.Began = now.Add(-time.Millisecond)
	for range n {
		now, _ := p.DialFailed(o, f, now)
		ejected = ejected || now
	}
	return ejected
}

// single gives all origins of a pool one port.
func single(p *Pool) *Pool {
	for _, o := range p.Origins {
		o.Ports = config.PortRange{First: 80, Last: 80}
	}
	return p
}

// TestDialsEject: as many failures in a row as DialsToEject, of any kind, eject an origin with one
// port; a success between them starts the count again.
func TestDialsEject(t *testing.T) {
	for _, class := range []ErrorClass{ErrorRefused, ErrorTimeout} {
		p := single(pool(config.First, 1, 1))
		a := p.Origins[0]
		f := Failure{Port: 80, Class: class}
		if p.failures(a, health.DialsToEject-1, f, noon) || a.Accepted(80, noon) {
			t.Errorf("%v: too few failures eject", class)
		}
		later := noon.Add(time.Second)
		if p.failures(a, health.DialsToEject-1, f, later) || !p.failures(a, 1, f, later) || p.failures(a, 5, f, later) {
			t.Errorf("%v: not the third failure alone ejects", class)
		}
		if v := a.Verdict(config.TCP, later); v != health.Ejected || a.Verdict(config.UDP, later) != health.Up {
			t.Errorf("%v: the verdicts are %v and %v", class, v, a.Verdict(config.UDP, later))
		}
		if !a.Accepted(80, later) || a.Verdict(config.TCP, later) != health.Up || a.State().Back != later.Add(health.FirstWait) {
			t.Errorf("%v: it does not come back: %+v", class, a.State())
		}
		if a.Changes(health.Ejected) != 1 || a.Changes(health.Up) != 1 {
			t.Errorf("%v: counted %d ejections and %d returns", class, a.Changes(health.Ejected), a.Changes(health.Up))
		}
	}
}

// TestAClosedPortEjectsNobody: of origins with many ports, RST leaves out a port, and a timeout the
// whole, unless the origin accepts conns meanwhile: else a client could take an origin away by a
// scan of its filtered ports.
func TestAClosedPortEjectsNobody(t *testing.T) {
	p := pool(config.First, 1, 1)
	a := p.Origins[0]
	ask := func(port uint16) string { return p.Pick(Ask{Protocol: config.TCP, Port: port, Now: noon}).Text }
	p.failures(a, 9, Failure{Port: 23, Class: ErrorRefused}, noon)
	if ask(23) != "b" || ask(80) != "a" {
		t.Errorf("port 23 is refused: 23 goes to %s, and 80 to %s", ask(23), ask(80))
	}
	a.Accepted(80, noon)
	p.failures(a, 9, Failure{Port: 24, Class: ErrorTimeout}, noon)
	if ask(24) != "b" || ask(80) != "a" {
		t.Errorf("port 24 is filtered: 24 goes to %s, and 80 to %s", ask(24), ask(80))
	}
	later := noon.Add(time.Hour)
	p.failures(a, 9, Failure{Port: 24, Class: ErrorTimeout}, later)
	if got := p.Pick(Ask{Protocol: config.TCP, Port: 80, Now: later}).Text; got != "b" {
		t.Errorf("nothing is accepted any more, and conns go to %s", got)
	}
}

// TestEjectsHalf: however many fail, and whatever a reload leaves, no more than half are ejected.
func TestEjectsHalf(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		weights := make([]int, 1+random.IntN(7))
		for i := range weights {
			weights[i] = random.IntN(4)
		}
		p, now := single(pool(config.RoundRobin, weights...)), time.Now()
		for range 200 {
			now = now.Add(time.Duration(random.IntN(1000)) * time.Millisecond)
			if o := p.Origins[random.IntN(len(p.Origins))]; random.IntN(10) == 0 {
				o.Accepted(80, now)
			} else {
				p.failures(o, 1, Failure{Port: 80, Class: ErrorRefused + ErrorClass(random.IntN(2))}, now)
			}
			if out, of := p.countEjected(now), p.countServing(); 2*out > of {
				t.Fatalf("%d of %d origins are ejected", out, of)
			}
		}
	}
	old := single(pool(config.RoundRobin, 1, 1, 1, 1))
	now := time.Now()
	old.failures(old.Origins[0], 3, Failure{Port: 80, Class: ErrorTimeout}, now)
	old.failures(old.Origins[1], 3, Failure{Port: 80, Class: ErrorTimeout}, now)
	p := single(NewPool(&config.Route{Origins: []config.Origin{server("a", 1), server("b", 1)}}, old))
	if old.countEjected(now) != 1 || p.countEjected(now) != 1 {
		t.Errorf("of 2 origins that a reload leaves, %d are ejected", p.countEjected(now))
	}
}

// TestTheEjectedComeLast: when those that are up were tried, an ejected one is asked, and one whose
// checks fail is not.
func TestTheEjectedComeLast(t *testing.T) {
	p := single(pool(config.First, 1, 1, 1, 1))
	p.failures(p.Origins[0], 3, Failure{Port: 80, Class: ErrorTimeout}, noon)
	p.Origins[1].SetChecked(true, "", noon)
	p.Origins[3].Force(health.Down, "", noon)
	order, ask := "", Ask{Protocol: config.TCP, Port: 80, Now: noon}
	for o := p.Pick(ask); o != nil; o = p.Pick(ask) {
		order += o.Text
		ask.Tried = append(ask.Tried, o)
	}
	if order != "ca" {
		t.Errorf("tried %s, want c and then a", order)
	}
	if p.AllTried(ask.Tried) {
		t.Error("b and d were not asked, so nobody knows that the port is closed everywhere")
	}
}

// TestReloadKeepsHealth: the state and the order of an origin go on, its weight is the file's again.
func TestReloadKeepsHealth(t *testing.T) {
	r := &config.Route{Origins: []config.Origin{server("a", 1), server("b", 1)}}
	old := NewPool(r, nil)
	old.Origins[0].SetChecked(true, "refused", noon)
	old.Origins[1].Force(health.Drain, "by hand", noon)
	old.Origins[1].SetWeight(7)
	if old.Origins[0].SetChecked(true, "again", noon) || old.Origins[1].Force(health.Drain, "", noon) {
		t.Error("what was known is new")
	}
	p := NewPool(r, old)
	if p.Origins[0].Standing() != health.CheckFailed || p.Origins[1].Standing() != health.ForcedDrain || p.Origins[1].CurrentWeight() != 1 {
		t.Errorf("after a reload: %v, %v, weight %d", p.Origins[0].Standing(), p.Origins[1].Standing(), p.Origins[1].CurrentWeight())
	}
	if !p.AllDown() {
		t.Error("no origin is up, and AllDown says otherwise")
	}
}
