package tcp

import (
	"net/netip"
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/route"
)

// lookups is a table of one dst.
type lookups map[netip.AddrPort]*config.Route

func (l lookups) Lookup(_ config.Protocol, dst netip.AddrPort) *config.Route { return l[dst] }

func (lookups) Passes(config.Protocol, netip.AddrPort) bool { return false }

// TestRetireAndBack: what one reload takes away, another one gives back in time.
func TestRetireAndBack(t *testing.T) {
	dst := netip.MustParseAddrPort("192.0.2.1:80")
	web, other := &config.Route{Name: "web", Timeouts: config.Timeouts{Drain: time.Minute, Idle: time.Hour}}, &config.Route{Name: "other"}
	live := route.NewLive(1)
	live.Swap(lookups{dst: web}, []*config.Route{web})
	l := &loop{routes: live, set: live.Set(), now: time.Second}
	c := &conn{route: live.Set().Named("web"), dst: dst, ends: [2]end{{fd: -1}, {fd: -1}}, state: relaying, began: time.Second, active: time.Second}
	l.slots = []*conn{nil, c}
	for _, test := range []struct {
		name    string
		table   lookups
		routes  []*config.Route
		drained time.Duration
	}{
		{"as it was", lookups{dst: web}, []*config.Route{web}, 0},
		{"no route at all", lookups{}, nil, time.Second + time.Minute},
		{"the same once more", lookups{}, nil, time.Second + time.Minute},
		{"it is back", lookups{dst: web}, []*config.Route{web}, 0},
		{"the route without its dst", lookups{}, []*config.Route{web}, 5*time.Second + time.Minute},
		{"its dst on another route", lookups{dst: other}, []*config.Route{other}, 5*time.Second + time.Minute},
		{"on another route, beside its own", lookups{dst: other}, []*config.Route{web, other}, 0},
	} {
		if test.name == "the same once more" {
			l.now = 5 * time.Second // the time that it has left does not begin again
		}
		live.Swap(test.table, test.routes)
		l.applyReload()
		if c.drained != test.drained {
			t.Errorf("%s: drained at %v, want %v", test.name, c.drained, test.drained)
		}
	}
}
