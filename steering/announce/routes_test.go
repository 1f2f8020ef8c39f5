package announce

import (
	"context"
	"log/slog"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/steering/netnstest"
)

// kernelRoutes are the routes of ours in a table, as `ip route` has them.
func kernelRoutes(t *testing.T, table int) (all []string) {
	t.Helper()
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer handle.Close()
	err = listRoutes(handle, &netlink.Route{Table: table, Protocol: Protocol}, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_PROTOCOL, func(r Route, _ netlink.Route) { all = append(all, r.String()) })
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func wantRoutes(t *testing.T, table int, want ...string) {
	t.Helper()
	if got := strings.Join(kernelRoutes(t, table), ", "); got != strings.Join(want, ", ") {
		t.Errorf("table %d has %q, want %q", table, got, want)
	}
}

func ipNet(text string) *net.IPNet {
	_, n, err := net.ParseCIDR(text)
	if err != nil {
		panic(err)
	}
	return n
}

var facts = Facts{Routes: []Served{{Name: "web", Prefixes: prefixes("192.0.2.0/24", "192.0.2.7/32", "2001:db8:1::/48")}}}

// settled updates an Announcer until its prefixes had the time to be announced.
func settled(a *Announcer, c config.Announce) {
	for i := range 2 {
		f := facts
		f.Now = start.Add(time.Duration(i) * HoldTime)
		a.Update(context.Background(), c, f, nil)
	}
}

// TestRoutesInTheKernel: the routes are there with their metric, in another process's hands too, and go with the last
// descriptor of their device.
func TestRoutesInTheKernel(t *testing.T) {
	netnstest.InNamespace(t)
	c := config.Announce{Table: 179, Metric: 100}
	a := New(slog.New(slog.DiscardHandler), func() {})
	if err := a.Prepare(c); err != nil {
		t.Fatal(err)
	}
	settled(a, c)
	all := []string{"192.0.2.0/24 table 179 metric 100", "192.0.2.7/32 table 179 metric 100", "2001:db8:1::/48 table 179 metric 100"}
	wantRoutes(t, 179, all...)

	fd, err := unix.FcntlInt(uintptr(a.Handover()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	wantRoutes(t, 179, all...)
	next := New(slog.New(slog.DiscardHandler), func() {})
	if err := next.Inherit(fd, nil); err != nil {
		t.Fatal(err)
	}
	f := facts
	f.Now = start
	next.Update(context.Background(), c, f, nil) // it need not wait
	wantRoutes(t, 179, all...)
	if n, all := next.Status(start).Standing(); n != 3 || all != 3 {
		t.Errorf("%d of %d are announced", n, all)
	}
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); len(kernelRoutes(t, 179)) > 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	wantRoutes(t, 179)
}

// TestMoving: whoever asks is told before prefixes get routes or lose them, and not of anything else.
func TestMoving(t *testing.T) {
	netnstest.InNamespace(t)
	c := config.Announce{Table: 179, Metric: 100}
	var stood []int
	a := prepared(t, c)
	a.moving = func() { stood = append(stood, len(kernelRoutes(t, 179))) }
	update := func(second, want int, change func(*Facts)) {
		t.Helper()
		f := facts
		f.Now, f.Routes = start.Add(time.Duration(second)*time.Second), slices.Clone(facts.Routes)
		change(&f)
		before := len(stood)
		a.Update(context.Background(), c, f, nil)
		if moves := len(stood) - before; moves != want {
			t.Errorf("second %d: told %d times, want %d", second, moves, want)
		}
	}
	same := func(*Facts) {}
	update(0, 0, same)
	update(4, 1, same)
	update(5, 0, same)
	update(6, 0, func(f *Facts) { f.Routes[0].Draining = true }) // the drain has told them
	update(7, 1, func(f *Facts) { f.Problem = "the steering is lost" })
	update(8, 0, func(f *Facts) { f.Problem = "the steering is lost" })
	if want := []int{0, 3}; !slices.Equal(stood, want) {
		t.Errorf("there were %d routes when it was told, want %d", stood, want)
	}
}

// TestOthersRoute: a route of another program in the place of ours stays, is reported, and ours is added once it has
// gone.
func TestOthersRoute(t *testing.T) {
	netnstest.InNamespace(t)
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	theirs := &netlink.Route{Dst: ipNet("192.0.2.0/24"), LinkIndex: lo.Attrs().Index, Table: 179, Priority: 100, Protocol: unix.RTPROT_STATIC, Scope: unix.RT_SCOPE_LINK}
	if err := netlink.RouteAdd(theirs); err != nil {
		t.Fatal(err)
	}
	c := config.Announce{Table: 179, Metric: 100}
	a := prepared(t, c)
	settled(a, c)
	rest := []string{"192.0.2.7/32 table 179 metric 100", "2001:db8:1::/48 table 179 metric 100"}
	wantRoutes(t, 179, rest...)
	if s := a.Status(start); !strings.Contains(s.Failed, "another program's route has the place of ours: ip route show table 179 192.0.2.0/24") {
		t.Errorf("%q", s.Failed)
	}
	if err := netlink.RouteDel(theirs); err != nil {
		t.Fatal(err)
	}
	settled(a, c)
	wantRoutes(t, 179, append([]string{"192.0.2.0/24 table 179 metric 100"}, rest...)...)
	if s := a.Status(start); s.Failed != "" {
		t.Errorf("%q", s.Failed)
	}
}

// TestLeftovers: what a process with a copy of the descriptor keeps is found, and can be removed.
func TestLeftovers(t *testing.T) {
	netnstest.InNamespace(t)
	c := config.Announce{Table: 179, Metric: 100}
	a := prepared(t, c)
	settled(a, c)
	left, err := Leftovers()
	if err != nil || len(left) != 4 || left[3].Name != "network device anyport-route0" {
		t.Fatalf("%+v, %v", left, err)
	}
	for _, l := range left {
		if err := l.Remove(); err != nil {
			t.Errorf("%s: %v", l.Name, err)
		}
	}
	if left, err := Leftovers(); err != nil || len(left) != 0 {
		t.Errorf("%+v, %v", left, err)
	}
}

// TestRoutedBy finds the rules that name the table, in both families.
func TestRoutedBy(t *testing.T) {
	netnstest.InNamespace(t)
	if by, err := RoutedBy(179); err != nil || len(by) != 0 {
		t.Errorf("%q, %v", by, err)
	}
	for _, command := range []string{"ip rule add table 179", "ip -6 rule add from 2001:db8::/32 table 179", "ip rule add table 180"} {
		if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%s: %s", command, out)
		}
	}
	if by, err := RoutedBy(179); err != nil || len(by) != 2 {
		t.Errorf("%q, %v", by, err)
	}
}

// prepared is an announcer with its device, until the test ends.
func prepared(t *testing.T, c config.Announce) *Announcer {
	t.Helper()
	a := New(slog.New(slog.DiscardHandler), func() {})
	if err := a.Prepare(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}
