package daemon

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
	"anyport/steering/announce"
	"anyport/steering/host"
)

const announceTable = 1790

// announcedRoutes are the metrics of the routes in the table, by prefix.
func announcedRoutes(t *testing.T, table int) map[string][]int {
	t.Helper()
	all, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: table, Protocol: announce.Protocol}, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]int{}
	for _, r := range all {
		found[r.Dst.String()] = append(found[r.Dst.String()], r.Priority)
	}
	return found
}

// awaitAnnounced waits until the table has these routes: prefix to metric.
func awaitAnnounced(t *testing.T, table int, want map[string]int) {
	t.Helper()
	eventually(t, fmt.Sprintf("table %d has %v", table, want), func() bool {
		got := map[string]int{}
		for prefix, metrics := range announcedRoutes(t, table) {
			if len(metrics) != 1 {
				return false
			}
			got[prefix] = metrics[0]
		}
		return maps.Equal(got, want)
	})
}

// startAnnouncing starts a daemon with [announce].
func startAnnouncing(t *testing.T, routes string, change ...func(*Options)) *live {
	t.Helper()
	return start(t, fmt.Sprintf("[announce]\ntable = %d\n", announceTable), routes, change...)
}

// watchGaps reports the prefixes that are without a route at some moment until stop is called.
func watchGaps(t *testing.T, prefix string) (stop func()) {
	t.Helper()
	var over atomic.Bool
	gaps := make(chan int)
	go func() { // ended by stop
		n := 0
		for !over.Load() {
			all, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Protocol: announce.Protocol}, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_PROTOCOL)
			if err != nil {
				continue
			}
			found := false
			for _, r := range all {
				found = found || r.Dst.String() == prefix
			}
			if !found {
				n++
			}
		}
		gaps <- n
	}()
	return func() {
		t.Helper()
		over.Store(true)
		if n := <-gaps; n > 0 {
			t.Errorf("%s was without a route at %d looks", prefix, n)
		}
	}
}

// TestAnnounces: what is served stands in the table once it lasted, with a higher metric while it drains, and goes at
// the order to stop.
func TestAnnounces(t *testing.T) {
	origin := echo(t)
	text := webRoute("web", "192.0.2.0/24", origin, `drain_timeout = "1m"`) +
		"[route.six]\nprotocol = \"tcp\"\nprefixes = [\"2001:db8:1::/48\"]\norigins = [\"" + origin + "\"]\n" +
		"[route.shut]\nprotocol = \"tcp\"\nprefixes = [\"203.0.113.0/24\"]\naction = \"refuse\"\n"
	l := startAnnouncing(t, text)
	if got := announcedRoutes(t, announceTable); len(got) > 0 {
		t.Errorf("announced at once: %v", got)
	}
	awaitAnnounced(t, announceTable, map[string]int{"192.0.2.0/24": 100, "2001:db8:1::/48": 100})
	stop := watchGaps(t, "192.0.2.0/24")
	for range 5 {
		if _, err := l.Drain(t.Context(), admin.DrainOrder{Route: "web"}); err != nil {
			t.Fatal(err)
		}
		awaitAnnounced(t, announceTable, map[string]int{"192.0.2.0/24": 1100, "2001:db8:1::/48": 100})
		if _, err := l.Drain(t.Context(), admin.DrainOrder{Undo: true}); err != nil {
			t.Fatal(err)
		}
		awaitAnnounced(t, announceTable, map[string]int{"192.0.2.0/24": 100, "2001:db8:1::/48": 100})
	}
	l.write(t, strings.ReplaceAll(text, "route.web", "route.renamed")) // the prefix does not wait again
	if _, err := l.Reload(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	l.text = strings.Replace(l.text, fmt.Sprint(announceTable), "1791\nmetric = 7", 1)
	l.write(t, text)
	if _, err := l.Reload(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	awaitAnnounced(t, 1791, map[string]int{"192.0.2.0/24": 7, "2001:db8:1::/48": 7})
	stop()
	awaitAnnounced(t, announceTable, map[string]int{})

	status, err := l.Status(t.Context())
	if a := status.Announce; err != nil || a == nil || a.Table != 1791 || a.Prefixes["announced"] != 2 || !strings.HasPrefix(a.Device, host.RouteDevicePrefix) || len(a.Parts) != 3 || a.Problem != "" {
		t.Errorf("%+v, %v", status.Announce, err)
	}
	e, err := l.Explain(t.Context(), admin.Question{Protocol: config.TCP, Dst: netip.MustParseAddrPort("192.0.2.9:80")})
	if want := "table 1791 has 192.0.2.0/24 for routing daemons: announced"; err != nil || !slices.Contains(e.Kernel, want) {
		t.Errorf("%+v, %v, want %q", e, err, want)
	}
	conn := dialThrough(t, "192.0.2.7:4711")
	l.signals <- syscall.SIGTERM
	awaitAnnounced(t, 1791, map[string]int{})
	if status, err := l.Status(t.Context()); err != nil || status.Announce.Prefixes["stopping"] != 2 {
		t.Errorf("while it stops: %+v, %v", status.Announce, err)
	}
	say(t, conn)
}

// TestAnnouncedWhileReady: a prefix is withdrawn while its origin is down, and all are while the steering is detached or
// the fleet has another table; routes and the device that others remove come back.
func TestAnnouncedWhileReady(t *testing.T) {
	origin := echo(t)
	needy := "[route.needy]\nprotocol = \"udp\"\nprefixes = [\"198.51.100.0/24\"]\norigins = [\"" + origin + "\"]\non_all_down = \"refuse\"\n"
	l := startAnnouncing(t, webRoute("web", "192.0.2.0/24", origin, "")+needy)
	both := map[string]int{"192.0.2.0/24": 100, "198.51.100.0/24": 100}
	awaitAnnounced(t, announceTable, both)
	force := func(state string) {
		t.Helper()
		if _, err := l.Origin(t.Context(), admin.OriginOrder{Route: "needy", Address: origin, State: state}); err != nil {
			t.Fatal(err)
		}
	}
	force("down")
	awaitAnnounced(t, announceTable, map[string]int{"192.0.2.0/24": 100})
	force("ready")
	awaitAnnounced(t, announceTable, both)

	status, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	device, err := netlink.LinkByName(status.Announce.Device)
	if err != nil {
		t.Fatal(err)
	}
	for _, meddle := range []func() error{
		func() error {
			return netlink.RouteDel(&netlink.Route{Dst: ipNet("192.0.2.0/24"), Table: announceTable, Priority: 100, Scope: unix.RT_SCOPE_LINK, LinkIndex: device.Attrs().Index})
		},
		func() error { return netlink.LinkSetDown(device) },
		func() error { return netlink.LinkDel(device) },
	} {
		if err := meddle(); err != nil {
			t.Fatal(err)
		}
		awaitAnnounced(t, announceTable, both)
	}
	if status, err := l.Status(t.Context()); err != nil || status.Announce.RoutesRestored == 0 {
		t.Errorf("%+v, %v", status.Announce, err)
	}
}

// fleetOf is a fleet of a test.
type fleetOf struct {
	problem atomic.Pointer[string]
	permits atomic.Bool
}

func (f *fleetOf) MayWithdraw(context.Context) (bool, error) { return f.permits.Load(), nil }
func (f *fleetOf) TableProblem() string                      { return *f.problem.Load() }

// TestAnnouncedByFleet: the last hosts of a fleet go on announcing, and say so.
func TestAnnouncedByFleet(t *testing.T) {
	f := &fleetOf{}
	none, old := "", "the table is of yesterday"
	f.problem.Store(&none)
	l := startAnnouncing(t, webRoute("web", "192.0.2.0/24", echo(t), ""), func(o *Options) { o.fleetGuard = f })
	served := map[string]int{"192.0.2.0/24": 100}
	awaitAnnounced(t, announceTable, served)
	f.problem.Store(&old)
	eventually(t, "the status says why it is kept", func() bool {
		s, err := l.Status(t.Context())
		return err == nil && s.Announce.Kept != "" && s.Announce.Problem == old && s.Announce.Prefixes["kept"] == 1
	})
	awaitAnnounced(t, announceTable, served)
	f.permits.Store(true)
	awaitAnnounced(t, announceTable, map[string]int{})
	if !strings.Contains(l.log.String(), "prefixes stay announced though this host is not ready") {
		t.Errorf("the log:\n%s", l.log)
	}
	f.problem.Store(&none)
	awaitAnnounced(t, announceTable, served)
}

// TestDrainByFleet: the last host of a fleet does not drain all its routes without --force. A stop goes on, and says so.
func TestDrainByFleet(t *testing.T) {
	f, none := &fleetOf{}, ""
	f.problem.Store(&none)
	text := webRoute("web", "192.0.2.0/24", echo(t), "") + webRoute("two", "198.51.100.0/24", echo(t), "")
	l := startAnnouncing(t, text, func(o *Options) { o.fleetGuard = f })
	drain := func(o admin.DrainOrder, want bool) {
		t.Helper()
		if _, err := l.Drain(t.Context(), o); (err == nil) != want || err != nil && !strings.Contains(err.Error(), "announce.min_hosts") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	drain(admin.DrainOrder{}, true) // nothing is announced yet
	drain(admin.DrainOrder{Undo: true}, true)
	awaitAnnounced(t, announceTable, map[string]int{"192.0.2.0/24": 100, "198.51.100.0/24": 100})
	drain(admin.DrainOrder{}, false)
	drain(admin.DrainOrder{Route: "web"}, true)
	drain(admin.DrainOrder{Route: "two"}, false) // the rest of it
	drain(admin.DrainOrder{Route: "two", Force: true}, true)
	drain(admin.DrainOrder{}, true) // which changes nothing any more
	drain(admin.DrainOrder{Undo: true}, true)
	f.permits.Store(true)
	drain(admin.DrainOrder{}, true)
	drain(admin.DrainOrder{Undo: true}, true)
	f.permits.Store(false)
	l.signals <- syscall.SIGTERM
	eventually(t, "the log says that the last host stops", func() bool {
		return strings.Contains(l.log.String(), "stopping, though the fleet may need this host")
	})
	if n := strings.Count(l.log.String(), "draining, though the fleet may need this host"); n != 1 {
		t.Errorf("a forced drain is in the log %d times:\n%s", n, l.log)
	}
}

// TestTrouble: what is mended within a moment withdraws nothing.
func TestTrouble(t *testing.T) {
	var tr trouble
	now := time.Unix(1000, 0)
	for i, step := range []struct {
		after   time.Duration
		problem string
		want    string
	}{
		{0, "", ""}, {1, "a", ""}, {troubleTime - 1, "a", ""}, {1, "", ""},
		{1, "a", ""}, {troubleTime, "b", "b"}, {1, "b", "b"}, {1, "", ""}, {1, "b", ""},
	} {
		now = now.Add(step.after)
		if got := tr.lasting(step.problem, now); got != step.want {
			t.Errorf("step %d: %q, want %q", i, got, step.want)
		}
	}
}

func ipNet(text string) *net.IPNet {
	_, n, err := net.ParseCIDR(text)
	if err != nil {
		panic(err)
	}
	return n
}

// TestAnnounceNeeds: where a first table cannot be announced in, the reload is refused.
func TestAnnounceNeeds(t *testing.T) {
	for _, test := range []struct {
		manages  bool
		old, new int
		want     bool
	}{{true, 0, 179, true}, {false, 0, 179, false}, {false, 179, 180, true}, {false, 179, 0, true}, {false, 0, 0, true}} {
		old, next := &config.Config{}, &config.Config{}
		old.Steering.ManageRoutes, next.Steering.ManageRoutes = test.manages, test.manages
		old.Announce.Table, next.Announce.Table = test.old, test.new
		if problems := checkFixedKeys(old, next); (len(problems) == 0) != test.want {
			t.Errorf("%+v: %v", test, problems)
		}
		if test.new != 0 && neededCapabilities(next, "6.1")&(1<<unix.CAP_NET_ADMIN) == 0 {
			t.Errorf("%+v: CAP_NET_ADMIN is not kept", test)
		}
	}
}

// TestAnnouncedDrain: a route that drains refuses new conns only once routers have had the time to learn of its metric.
func TestAnnouncedDrain(t *testing.T) {
	l := startAnnouncing(t, webRoute("web", "192.0.2.0/24", echo(t), `drain_timeout = "1m"`))
	awaitAnnounced(t, announceTable, map[string]int{"192.0.2.0/24": 100})
	drained := make(chan error)
	go func() { // ends when the route refuses
		_, err := l.Drain(t.Context(), admin.DrainOrder{Route: "web", Wait: true})
		drained <- err
	}()
	awaitAnnounced(t, announceTable, map[string]int{"192.0.2.0/24": 1100})
	dialThrough(t, "192.0.2.7:4711").Close()
	if err := <-drained; err != nil {
		t.Fatal(err)
	}
	if conn, err := net.DialTimeout("tcp", "192.0.2.7:4712", 10*time.Second); err == nil {
		conn.Close()
		t.Error("the drain is over, and the route takes a new conn")
	}
}
