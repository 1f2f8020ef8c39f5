package steering

import (
	"errors"
	"net"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/steering/host"
	"anyport/steering/internal/tabletest"
	"anyport/steering/netnstest"
	"anyport/steering/table"
)

// TestManageRoutes: what is ours comes and goes, what was there stays.
func TestManageRoutes(t *testing.T) {
	netnstest.InNamespace(t)
	addLocal(t, "198.51.100.0/24", unix.RTPROT_STATIC)
	addLocal(t, "203.0.113.0/24", host.RouteProtocol) // a crashed run's
	addLocal(t, "192.0.2.0/24", host.RouteProtocol)   // as well, but wanted again
	before := []string{"127.0.0.0/8", "127.0.0.1/32", "198.51.100.0/24", "::1/128"}

	s := openHere(t, tabletest.Managed("192.0.2.0/24", "192.0.2.7", "198.51.100.0/24", "127.8.0.0/16", "2001:db8:1::/48"))
	checkLocal(t, append(before, "192.0.2.0/24", "2001:db8:1::/48"))

	replace(t, s, tabletest.Managed("192.0.2.0/25", "2001:db8:2::/48"))
	checkLocal(t, append(before, "192.0.2.0/25", "2001:db8:2::/48"))

	replace(t, s, &config.Config{})
	checkLocal(t, before)

	replace(t, s, tabletest.Managed("192.0.2.0/24"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	checkLocal(t, before)
}

// TestReplaceUndone: a prefix that cannot become local leaves the old table in service.
func TestReplaceUndone(t *testing.T) {
	s := open(t, tabletest.Managed("192.0.2.0/24"))
	j := newJudge(t, s)
	cfg := tabletest.Managed("198.51.100.0/24", "192.0.2.0/25", "2001:db8:1::/48")
	compiled, err := table.Compile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	disableIPv6(t, "1")
	if err := s.Replace(withListen(cfg), compiled); !errors.Is(err, unix.EACCES) {
		t.Fatalf("Replace = %v with IPv6 off", err)
	}
	checkVerdicts(t, j, map[string]table.Verdict{"192.0.2.1:80": table.Steer, "192.0.2.200:80": table.Steer, "198.51.100.1:80": table.Pass})
	checkLocal(t, []string{"127.0.0.0/8", "127.0.0.1/32", "192.0.2.0/24"})
	disableIPv6(t, "0")
	if err := s.Replace(withListen(cfg), compiled); err != nil {
		t.Fatal(err)
	}
	checkVerdicts(t, j, map[string]table.Verdict{"192.0.2.1:80": table.Steer, "192.0.2.200:80": table.Pass, "198.51.100.1:80": table.Steer})
}

// TestOpenUndone: an Open that fails leaves no program and no routes.
func TestOpenUndone(t *testing.T) {
	netnstest.InNamespace(t)
	disableIPv6(t, "1")
	cfg := tabletest.Managed("192.0.2.0/24", "2001:db8:1::/48")
	if _, err := Open(withListen(cfg), tabletest.Compile(t, cfg.Routes...), discard); !errors.Is(err, unix.EACCES) {
		t.Fatalf("Open = %v with IPv6 off", err)
	}
	checkLocal(t, []string{"127.0.0.0/8", "127.0.0.1/32"})
	status, err := openHere(t, &config.Config{}).Status()
	if err != nil || len(status.Foreign) > 0 {
		t.Errorf("programs %v are still attached (%v)", status.Foreign, err)
	}
}

// disableIPv6 sets the namespace's switch for all devices.
func disableIPv6(t *testing.T, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

func addLocal(t *testing.T, prefix string, protocol netlink.RouteProtocol) {
	t.Helper()
	_, dst, err := net.ParseCIDR(prefix)
	if err != nil {
		t.Fatal(err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	err = netlink.RouteAdd(&netlink.Route{
		LinkIndex: lo.Attrs().Index, Dst: dst, Table: unix.RT_TABLE_LOCAL,
		Type: unix.RTN_LOCAL, Scope: unix.RT_SCOPE_HOST, Protocol: protocol,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// checkLocal compares the prefixes that are local in the namespace.
func checkLocal(t *testing.T, want []string) {
	t.Helper()
	var got []string
	filter := &netlink.Route{Table: unix.RT_TABLE_LOCAL, Type: unix.RTN_LOCAL}
	all, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, filter, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_TYPE)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		got = append(got, r.Dst.String())
	}
	slices.Sort(got)
	if diff := cmp.Diff(slices.Sorted(slices.Values(want)), got); diff != "" {
		t.Errorf("local prefixes: %s", diff)
	}
}
