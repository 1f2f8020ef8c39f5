package host

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/steering/netnstest"
)

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

// FuzzChanges: whatever arrives is read without a panic, and is bounded.
func FuzzChanges(f *testing.F) {
	f.Add([]byte{28, 0, 0, 0, unix.RTM_DELROUTE, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 24, 0, 0, 255, 169, 0, 2, 0, 0, 0, 0})
	f.Add([]byte{32, 0, 0, 0, unix.RTM_NEWLINK, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, datagram []byte) {
		h := Changes{routes: map[netip.Prefix]uint32{}, links: map[int]bool{}}
		told := h.parse(datagram)
		if any := h.all || len(h.routes)+len(h.links) > 0; any != told {
			t.Errorf("%v, and %+v", told, h)
		}
	})
}
