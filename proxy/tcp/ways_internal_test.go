package tcp

import (
	"net/netip"
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/origin"
	"anyport/proxy/route"
)

// twoWays makes a pool of one server with an IPv4 and an IPv6 address.
func twoWays() *origin.Pool {
	o := config.Origin{Host: "app.example", Ports: config.PortRange{First: 80, Last: 80}, Weight: 1}
	addrs := []netip.Addr{netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("2001:db8::5")}
	return origin.NewPoolOf(&config.Route{}, origin.Resolved(o, addrs), nil)
}

// TestFirstWayIsHurried: the first way gets a quarter of a second, or connect_timeout if that is less;
// the second one gets all of connect_timeout, and then the first one once more.
func TestFirstWayIsHurried(t *testing.T) {
	c := &conn{dialled: time.Minute, hurries: true}
	for connect, want := range map[time.Duration]time.Duration{5 * time.Second: otherWayAfter, 100 * time.Millisecond: 100 * time.Millisecond, 0: otherWayAfter} {
		if at, v := c.timeoutAt(config.Timeouts{Connect: connect}); at != time.Minute+want || v != route.ConnectTimedOut {
			t.Errorf("connect_timeout %v: %v %v", connect, at, v)
		}
	}
	p, now := twoWays(), time.Now()
	first := p.Pick(origin.Ask{Protocol: config.TCP, Port: 80, Now: now})
	second := p.Pick(origin.Ask{Protocol: config.TCP, Port: 80, Tried: []*origin.Origin{first}, Now: now})
	if first == second || !first.HasOtherWay(nil, now) || second.HasOtherWay([]*origin.Origin{first}, now) {
		t.Fatalf("%s, then %s", first.Text, second.Text)
	}
	c.tried, c.hurried = []*origin.Origin{first, second}, 1
	if o := c.takeHurried(); o != first || len(c.tried) != 1 || c.tried[0] != second || first.HasOtherWay(c.tried, now) {
		t.Errorf("taken back: %v, tried %v", o, c.tried)
	}
	c.tried = append(c.tried, first)
	if o := c.takeHurried(); o != nil {
		t.Errorf("taken back twice: %s", o.Text)
	}
	second.WayFailed(80, false, now)
	if first.HasOtherWay(nil, now) {
		t.Error("a way is hurried although the other one fails")
	}
}
