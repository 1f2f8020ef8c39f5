package host

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"anyport/steering/internal/netnstest"
	"anyport/steering/internal/tabletest"

	"github.com/gaissmai/bart"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func texts(prefixes []netip.Prefix) (all []string) {
	for _, p := range prefixes {
		all = append(all, p.String())
	}
	return all
}

// TestFooting tells what is lost from what never was, and ours from what others keep local.
func TestFooting(t *testing.T) {
	cfg := tabletest.Managed("192.0.2.0/24", "198.51.100.7", "203.0.113.0/24", "2001:db8::/48")
	f := newFooting(cfg, tabletest.Compile(t, cfg.Routes...))
	mine := tabletest.Lite("192.0.2.0/24 2001:db8::/48")
	on := func(there bool) map[string]bool { return map[string]bool{"lo is down": there} }
	for _, step := range []struct {
		name               string
		local              *bart.Lite
		others             map[string]bool
		ours, theirs, lost []string
	}{
		{"nothing yet", tabletest.Lite(""), on(false), []string{"192.0.2.0/24", "2001:db8::/48"}, nil, nil},
		{"all that there is", tabletest.Lite("192.0.2.0/24 2001:db8::/48 198.51.100.0/24"), on(true), nil, nil, nil},
		{"a wider one is not ours", tabletest.Lite("192.0.0.0/16 2001:db8::/48 198.51.100.0/24"), on(true), []string{"192.0.2.0/24"}, nil, nil},
		{"another's", tabletest.Lite("192.0.2.0/24 2001:db8::/48"), on(true), nil, []string{"198.51.100.7/32"}, nil},
		{"all of it", tabletest.Lite(""), on(false), []string{"192.0.2.0/24", "2001:db8::/48"}, []string{"198.51.100.7/32"}, []string{"lo is down"}},
		{"another table", tabletest.Lite(""), on(false), []string{"192.0.2.0/24", "2001:db8::/48"}, []string{"198.51.100.7/32"}, []string{"lo is down"}},
		{"back again", tabletest.Lite("192.0.2.0/24 2001:db8::/48 198.51.100.7/32"), on(true), nil, nil, nil},
	} {
		if step.name == "another table" {
			next := newFooting(cfg, tabletest.Compile(t, cfg.Routes...))
			next.inherit(f)
			f = next
		}
		ours, theirs, others := f.lost(ground{step.local, step.others}, mine)
		if diff := cmp.Diff([][]string{step.ours, step.theirs, step.lost}, [][]string{texts(ours), texts(theirs), others}); diff != "" {
			t.Errorf("%s: %s", step.name, diff)
		}
	}
}

// TestQuarrelPauses: what others remove every second is put back five times at once, then
// after pauses, and at once again when they have been quiet for a minute.
func TestQuarrelPauses(t *testing.T) {
	var q quarrel
	var got []int
	begun := 0
	start := time.Now()
	for second := range 200 {
		quiet := second >= 60 && second < 150
		if now := start.Add(time.Duration(second) * time.Second); !quiet && q.allows(now) {
			got = append(got, second)
			if q.note(now) {
				begun++
			}
		}
	}
	want := []int{0, 1, 2, 3, 4, 14, 24, 34, 44, 54, 150, 151, 152, 153, 154, 164, 174, 184, 194}
	if !slices.Equal(got, want) || begun != 2 {
		t.Errorf("put back at %v, want %v; told of %d quarrels, want 2", got, want, begun)
	}
}

// TestMonitor is told of changes of the local table, links and rules, and not of other tables;
// where the queue is too short, it looks at everything.
func TestMonitor(t *testing.T) {
	netnstest.InNamespace(t)
	m, err := OpenMonitor()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	index := lo.Attrs().Index
	listen := func() Changes {
		h, err := m.Wait(t.Context(), time.Now().Add(100*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	listen() // of what came before
	route := func(prefix string, table int, kind int, protocol netlink.RouteProtocol) *netlink.Route {
		r := routeOn(index, netip.MustParsePrefix(prefix))
		r.Table, r.Type, r.Protocol = table, kind, protocol
		if kind == unix.RTN_UNICAST {
			r.Scope = unix.RT_SCOPE_LINK
		}
		return r
	}
	try := func(errs ...error) {
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	for _, prefix := range []string{"192.0.2.0/24", "2001:db8::/48"} {
		ours := route(prefix, unix.RT_TABLE_LOCAL, unix.RTN_LOCAL, RouteProtocol)
		elsewhere := route(prefix, unix.RT_TABLE_MAIN, unix.RTN_UNICAST, unix.RTPROT_STATIC)
		try(netlink.RouteAdd(ours), netlink.RouteAdd(elsewhere), netlink.RouteDel(elsewhere))
		if h := listen(); len(h.routes) > 0 || h.all {
			t.Errorf("%s: a route of ours, and one of another table: %+v", prefix, h)
		}
		try(netlink.RouteDel(ours))
		if h := listen(); len(h.routes) != 1 || h.routes[netip.MustParsePrefix(prefix)] == 0 {
			t.Errorf("%s: the loss of ours: %+v", prefix, h)
		}
	}
	try(netlink.LinkSetDown(lo), netlink.LinkSetUp(lo))
	if h := listen(); !h.links[index] {
		t.Errorf("lo down and up: %+v", h)
	}
	rule := netlink.NewRule()
	rule.Table, rule.Priority = 100, 100
	try(netlink.RuleAdd(rule))
	if h := listen(); !h.all {
		t.Errorf("a rule: %+v", h)
	}
	raw, err := m.file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	try(raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) }), err)
	for range 50 {
		try(netlink.LinkSetDown(lo), netlink.LinkSetUp(lo))
	}
	if h := listen(); !h.all || len(h.links) > 0 {
		t.Errorf("more than the queue holds: %+v", h)
	}
}

// TestMonitorEnds: the end of the context ends a wait.
func TestMonitorEnds(t *testing.T) {
	netnstest.InNamespace(t)
	m, err := OpenMonitor()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer m.EndWith(ctx)()
	time.AfterFunc(50*time.Millisecond, cancel)
	begun := time.Now()
	if _, err := m.Wait(ctx, begun.Add(time.Hour)); err != nil || time.Since(begun) > time.Minute {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
}

// FuzzHints: whatever arrives is read without a panic, and is bounded.
func FuzzHints(f *testing.F) {
	f.Add([]byte{28, 0, 0, 0, unix.RTM_DELROUTE, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 24, 0, 0, 255, 169, 0, 2, 0, 0, 0, 0})
	f.Add([]byte{32, 0, 0, 0, unix.RTM_NEWLINK, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, datagram []byte) {
		h := Changes{routes: map[netip.Prefix]uint32{}, links: map[int]bool{}}
		told := h.add(datagram)
		if any := h.all || len(h.routes)+len(h.links) > 0; any != told {
			t.Errorf("%v, and %+v", told, h)
		}
	})
}
