package demo

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"anyport/steering/netnstest"
)

// TestSetUp: a fresh namespace gets the clients' addresses and room for a sweep; one that somebody uses,
// such as the host's, is refused and left as it is.
func TestSetUp(t *testing.T) {
	netnstest.Enter(t)
	if err := setUp(clients); err != nil {
		t.Fatal(err)
	}
	loopback, err := netlink.LinkByName("lo")
	if err != nil || loopback.Attrs().Flags&net.FlagUp == 0 {
		t.Fatalf("lo is not up: %v", err)
	}
	addresses := func() (all []string) {
		list, err := netlink.AddrList(loopback, netlink.FAMILY_ALL)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range list {
			all = append(all, a.IPNet.String())
		}
		return all
	}
	before := addresses()
	for _, c := range clients {
		if !strings.Contains(strings.Join(before, " "), c.String()) {
			t.Errorf("lo has %q, without %v", before, c)
		}
	}
	if ports, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil && strings.Join(strings.Fields(string(ports)), " ") != "10000 65535" {
		t.Errorf("the local ports are %q", ports)
	}
	if err := setUp([]netip.Prefix{netip.MustParsePrefix("198.51.100.99/32")}); err == nil || !strings.Contains(err.Error(), "this network namespace is in use: unset "+insideVariable) {
		t.Errorf("in a namespace that is in use: %v", err)
	}
	if after := addresses(); strings.Join(after, " ") != strings.Join(before, " ") {
		t.Errorf("lo has %q, and %q before", after, before)
	}
}

// TestInside: the process that has begun again in a namespace knows it by a variable.
func TestInside(t *testing.T) {
	t.Setenv(insideVariable, "")
	if inside() {
		t.Error("without the variable")
	}
	t.Setenv(insideVariable, "1")
	if !inside() {
		t.Error("with the variable")
	}
}

// TestSweepOfNobody: ports without an answer are counted and the first of them shown; a client that cannot
// send at all is an error, and so is the end of the demo.
func TestSweepOfNobody(t *testing.T) {
	var out bytes.Buffer // no host but the demo's namespace has the client's address
	s := &sweep{network: "tcp", addr: swept[0], first: 1, last: mostShown + 2}
	if err := s.run(t.Context(), Options{Out: &out}); err != nil {
		t.Fatal(err)
	}
	if s.wrong.Load() != mostShown+2 || s.right.Load() != 0 || strings.Count(out.String(), "  wrong: tcp 192.0.2.77:") != mostShown {
		t.Errorf("%d wrong, %d right:\n%s", s.wrong.Load(), s.right.Load(), &out)
	}
	s = &sweep{network: "udp", addr: swept[1], first: 1, last: 9}
	if err := s.run(t.Context(), Options{Out: &out}); err == nil || !strings.Contains(err.Error(), "the demo's client: ") {
		t.Errorf("%v", err)
	}
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	if wrong, err := sweepAll(interrupted, Options{First: 1, Last: 9, Out: &out}); !errors.Is(err, context.Canceled) || wrong != 0 {
		t.Errorf("%d wrong, %v", wrong, err)
	}
	out.Reset()
	if err := show(interrupted, Options{First: 1, Last: 9, Version: "v1", Out: &out}); err == nil {
		t.Error("an interrupted demo has succeeded")
	}
	if !strings.HasPrefix(out.String(), "anyport v1 serves this file, in a network namespace of its own:\n\n  [route.everything]\n  protocol") {
		t.Errorf("it begins with %q", out.String())
	}
}
