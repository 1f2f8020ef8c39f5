package origin

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/health"
)

// addrs parses addresses.
func addrs(texts ...string) (all []netip.Addr) {
	for _, text := range texts {
		all = append(all, netip.MustParseAddr(text))
	}
	return all
}

// app is an origin that is a DNS name.
func app(weight int) config.Origin {
	return config.Origin{Text: "app.example:80", Host: "app.example", Ports: config.PortRange{First: 80, Last: 80}, Weight: weight}
}

// named makes a pool of the addresses that app.example has.
func named(b config.Balance, old *Pool, texts ...string) *Pool {
	r := &config.Route{Balance: b, Origins: []config.Origin{app(1)}}
	return NewPoolOf(r, Resolved(app(1), addrs(texts...)), old)
}

// asking asks for an origin of port 80 for a client.
func asking(i int, tried []*Origin) Ask {
	return Ask{Client: clientAt(i), Protocol: config.TCP, Port: 80, Tried: tried, Now: time.Now()}
}

func (p *Pool) texts() string {
	var all []string
	for _, o := range p.Origins {
		all = append(all, o.Text)
	}
	return strings.Join(all, " ")
}

func TestResolved(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.5":                                  "[10.0.0.5:80]",
		"2001:db8::5":                               "[[2001:db8::5]:80]",
		"10.0.0.5 2001:db8::5":                      "[10.0.0.5:80 [2001:db8::5]:80]",
		"10.0.0.5 10.0.0.6 10.0.0.7 2001:db8::5":    "[10.0.0.5:80 [2001:db8::5]:80] [10.0.0.6:80] [10.0.0.7:80]",
		"10.0.0.5 2001:db8::5 2001:db8::6":          "[10.0.0.5:80 [2001:db8::5]:80] [[2001:db8::6]:80]",
		"10.0.0.5 10.0.0.6 2001:db8::5 2001:db8::6": "[10.0.0.5:80 [2001:db8::5]:80] [10.0.0.6:80 [2001:db8::6]:80]",
	} {
		var got []string
		for _, m := range Resolved(app(1), addrs(strings.Fields(in)...)) {
			var ways []string
			for _, way := range m.Ways {
				ways = append(ways, way.Text)
			}
			got = append(got, fmt.Sprint(ways))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", in, got, want)
		}
	}
}

// TestDistinct: an address that the file has goes before that of a name, wherever they stand.
func TestDistinct(t *testing.T) {
	literal := config.Origin{Text: "10.0.0.5:80", Addr: netip.MustParseAddr("10.0.0.5"), Ports: config.PortRange{First: 80, Last: 80}}
	members := slices.Concat(Resolved(app(1), addrs("10.0.0.5", "2001:db8::5")), Literals([]config.Origin{literal}), Resolved(app(2), addrs("2001:db8::5", "10.0.0.7")))
	p := NewPoolOf(&config.Route{Origins: []config.Origin{app(1)}}, Distinct(members), nil)
	if got := p.texts(); got != "[2001:db8::5]:80 10.0.0.5:80 10.0.0.7:80" || p.Origins[1].Weight != 0 {
		t.Errorf("%s, with weights %d", got, p.Origins[1].Weight)
	}
}

// TestBetterWay: the way that RFC 6724 prefers is dialled, the other one while dials by it fail, and
// if both fail the preferred one again.
func TestBetterWay(t *testing.T) {
	all := func(*Origin) bool { return true }
	for _, c := range []struct{ four, six, want string }{
		{"10.0.0.5", "2001:db8::5", "2001:db8::5"},
		{"10.0.0.5", "fd00::5", "10.0.0.5"},
		{"10.0.0.5", "2002:a00::5", "10.0.0.5"},
		{"127.0.0.1", "::1", "::1"},
	} {
		p := named(config.First, nil, c.four, c.six)
		way := func(now time.Time) string {
			return p.Origins[0].betterWay(all, now).Addr.String()
		}
		if got := way(noon); got != c.want {
			t.Errorf("%s or %s: %s", c.four, c.six, got)
		}
		first, second := p.Origins[0], p.Origins[1]
		if first.Addr.String() != c.want {
			first, second = second, first
		}
		first.WayFailed(80, false, noon)
		if got := way(noon); got != second.Addr.String() {
			t.Errorf("%s or %s, after the first has failed: %s", c.four, c.six, got)
		}
		if got := way(noon.Add(health.FirstWait)); got != c.want {
			t.Errorf("%s or %s: the first is not tried again: %s", c.four, c.six, got)
		}
		second.WayFailed(80, true, noon)
		if got := way(noon); got != c.want {
			t.Errorf("%s or %s, after both have failed: %s", c.four, c.six, got)
		}
		first.WayAccepted()
		first.WayFailed(80, false, noon)
		second.WayAccepted()
		if got := way(noon); got != second.Addr.String() {
			t.Errorf("%s or %s, after the second has succeeded: %s", c.four, c.six, got)
		}
	}
}

// TestADeadWayKeepsTheShares: two servers with a dead IPv6 each get half, by every policy, and the other
// way of one server is tried before the other server.
func TestADeadWayKeepsTheShares(t *testing.T) {
	for _, b := range []config.Balance{config.RoundRobin, config.LeastConn, config.Random, config.SourceHash} {
		p := named(b, nil, "10.0.0.5", "10.0.0.6", "2001:db8::5", "2001:db8::6")
		shares := map[string]int{}
		for i := range 400 {
			var tried []*Origin
			o := p.Pick(asking(i, nil))
			for o != nil && o.Addr.Is6() {
				o.WayFailed(80, false, time.Now())
				tried = append(tried, o)
				next := p.Pick(asking(i, tried))
				if next != o.other {
					t.Fatalf("%s: after %s, %s is tried", b, o.Text, next.Text)
				}
				o = next
			}
			o.Begin()
			shares[o.Text]++
		}
		for _, text := range []string{"10.0.0.5:80", "10.0.0.6:80"} {
			if shares[text] < 120 { // of 400, with half as the mean: eight standard deviations
				t.Errorf("%s: %v", b, shares)
			}
		}
	}
}

// TestManyPortsAreNoWay: a closed port of an origin with many says nothing about the way.
func TestManyPortsAreNoWay(t *testing.T) {
	o := app(1)
	o.Ports = config.PortRange{}
	p := NewPoolOf(&config.Route{}, Resolved(o, addrs("10.0.0.5", "2001:db8::5")), nil)
	p.Origins[1].WayFailed(22, true, time.Now())
	if got := p.Pick(asking(1, nil)); got != p.Origins[1] {
		t.Errorf("after a refused port: %s", got.Text)
	}
	p.Origins[1].WayFailed(22, false, time.Now())
	if got := p.Pick(asking(1, nil)); got != p.Origins[0] {
		t.Errorf("after a timeout: %s", got.Text)
	}
}

// TestVanished: an address that its name no longer has takes nothing new, and stays for as long as it
// has conns.
func TestVanished(t *testing.T) {
	before := named(config.RoundRobin, nil, "10.0.0.5", "10.0.0.6", "10.0.0.7")
	old := before.Origins[0]
	old.Begin()
	p := named(config.RoundRobin, before, "10.0.0.6", "10.0.0.8")
	if got := p.texts(); got != "10.0.0.6:80 10.0.0.8:80 10.0.0.5:80" || !p.Origins[2].Vanished() || p.Origins[2].Active() != 1 {
		t.Fatalf("%s", got)
	}
	for i := range 10 {
		if o := p.Pick(asking(i, nil)); o.Vanished() {
			t.Fatal("a vanished address is picked")
		}
	}
	if again := named(config.RoundRobin, p, "10.0.0.5"); again.Origins[0].Active() != 1 || again.Origins[0].Vanished() {
		t.Error("an address that is back has lost its conn")
	}
	old.End()
	if got := named(config.RoundRobin, p, "10.0.0.6").texts(); got != "10.0.0.6:80" {
		t.Errorf("after its last conn: %s", got)
	}
	p.Origins[2].Force(health.Drain, "test", noon)
	forced := named(config.RoundRobin, p, "10.0.0.6")
	if got := forced.texts(); got != "10.0.0.6:80 10.0.0.5:80" {
		t.Errorf("drained by hand: %s", got)
	}
	if back := named(config.RoundRobin, forced, "10.0.0.5"); back.Origins[0].Standing() != health.ForcedDrain {
		t.Errorf("an address that is back is %v, although it was drained by hand", back.Origins[0].Standing())
	}
	r := &config.Route{Origins: []config.Origin{server("a", 1)}}
	old.Begin()
	if got := NewPoolOf(r, Literals(r.Origins), p).texts(); got != "a" {
		t.Errorf("after a reload without the name: %s", got)
	}
}

// TestOnlyAWayThatCanBeDialledHurriesTheOther: a dial is not cut short for an address that would not be
// dialled next.
func TestOnlyAWayThatCanBeDialledHurriesTheOther(t *testing.T) {
	for what, exclude := range map[string]func(*Origin){
		"drained":     func(o *Origin) { o.Force(health.Drain, "test", noon) },
		"down":        func(o *Origin) { o.SetChecked(true, "test", noon) },
		"of weight 0": func(o *Origin) { o.SetWeight(0) },
	} {
		p := named(config.First, nil, "10.0.0.5", "2001:db8::5")
		four, six := p.Origins[0], p.Origins[1]
		if !six.HasOtherWay(nil, noon) {
			t.Fatal("a dial is not hurried although the other way is up")
		}
		exclude(four)
		if six.HasOtherWay(nil, noon) {
			t.Errorf("a dial is hurried although the other way is %s", what)
		}
	}
}

// TestTriedBeforeTheAddressesChanged: a conn does not try an origin a second time because a name has got
// other addresses meanwhile, and does not dial an address that is gone.
func TestTriedBeforeTheAddressesChanged(t *testing.T) {
	before := named(config.First, nil, "10.0.0.5", "2001:db8::5")
	tried := before.Origins[1:]
	before.Origins[0].Begin() // or it would leave the pool
	p := named(config.First, before, "10.0.0.6", "2001:db8::5")
	if o := p.Pick(asking(0, tried)); o != p.Origins[0] {
		t.Errorf("picked %v, want 10.0.0.6", o)
	}
	if p = named(config.First, p, "2001:db8::5"); p.Pick(asking(0, tried)) != nil || !p.AllTried(tried) {
		t.Error("an origin is tried again after its name has got other addresses")
	}
}
