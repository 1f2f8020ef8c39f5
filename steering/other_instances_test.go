package steering

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"anyport/steering/host"
	"anyport/steering/instances"
	"anyport/steering/internal/tabletest"
	"anyport/steering/netnstest"
	"anyport/steering/table"
)

func netDial(address string) (net.Conn, error) { return net.DialTimeout("tcp", address, silence) }

// TestBeside: two instances serve disjoint prefixes side by side; neither may take what the
// other serves, by a start or a reload, nor does it remove the other's routes.
func TestBeside(t *testing.T) {
	netnstest.InNamespace(t)
	cfg := tabletest.Managed("192.0.2.0/24")
	cfg.Path = "/etc/first.toml"
	first := openHere(t, cfg)
	want := fmt.Sprintf("another anyport (pid %d, /etc/first.toml) serves 192.0.2.0/24", os.Getpid())
	for _, on := range []string{"192.0.2.128/25", "192.0.0.0/16"} {
		_, err := Open(withListen(tabletest.Managed(on)), tabletest.Compile(t, tabletest.Managed(on).Routes...), discard)
		checkError(t, on, err, want)
	}
	addLocal(t, "203.0.113.0/24", host.RouteProtocol) // of one that was killed
	second := openHere(t, tabletest.Managed("198.51.100.0/24"))
	wider := tabletest.Managed("198.51.100.0/24", "192.0.2.7/32")
	checkError(t, "reload", second.Replace(withListen(wider), tabletest.Compile(t, wider.Routes...)), want)
	checkLocal(t, []string{"127.0.0.0/8", "127.0.0.1/32", "::1/128", "192.0.2.0/24", "198.51.100.0/24"})
	for address, s := range map[string]*Steering{"192.0.2.1:80": first, "198.51.100.1:80": second} {
		if got := knockTCP(t, s, netip.MustParseAddrPort(address)); got != table.Steer {
			t.Errorf("%s: %s", address, got)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	checkLocal(t, []string{"127.0.0.0/8", "127.0.0.1/32", "::1/128", "198.51.100.0/24"})
	replace(t, second, wider)
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	checkLocal(t, []string{"127.0.0.0/8", "127.0.0.1/32", "::1/128"})
}

// TestUnloadBeside: what a living instance has stays.
func TestUnloadBeside(t *testing.T) {
	netnstest.InNamespace(t)
	openHere(t, tabletest.Managed("192.0.2.0/24"))
	addLocal(t, "203.0.113.0/24", host.RouteProtocol)
	removed, err := Unload(tabletest.Managed(), discard)
	if err != nil || len(removed) != 1 || removed[0] != "route local 203.0.113.0/24 dev lo" {
		t.Errorf("removed %v, %v", removed, err)
	}
	checkLocal(t, []string{"127.0.0.0/8", "127.0.0.1/32", "::1/128", "192.0.2.0/24"})
}

// TestInstances: a socket with the right name is not believed where nobody answers on it in
// time, or not by what an instance says.
func TestInstances(t *testing.T) {
	netnstest.InNamespace(t)
	silentSocket, err := net.Listen("unix", instances.SocketPrefix+"silent")
	if err != nil {
		t.Fatal(err)
	}
	defer silentSocket.Close()
	began := time.Now()
	all, err := instances.List("")
	if err != nil || len(all) > 0 {
		t.Errorf("%v, %v", all, err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("a silent one took %v", took)
	}
	s := openHere(t, tabletest.Managed("192.0.2.0/24"))
	all, err = instances.List("")
	if err != nil || len(all) != 1 || all[0].PID != os.Getpid() || all[0].Prefixes[0] != netip.MustParsePrefix("192.0.2.0/24") || all[0].Device != deviceOf(s) {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestDeviceOfAnother: the device moves with the steering, and outlives who made it.
func TestDeviceOfAnother(t *testing.T) {
	netnstest.InNamespace(t)
	s := openHere(t, tabletest.Managed("192.0.2.0/24"))
	next := inherit(t, tabletest.Managed("192.0.2.0/24"), copies(t, s.Handover()))
	if err := s.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := netlink.LinkByName(deviceOf(next)); err != nil {
		t.Errorf("the device did not move: %v", err)
	}
	if status, err := next.Status(); err != nil || status.OnDeath != Unreachable {
		t.Errorf("%+v, %v", status, err)
	}
}

// deviceOf is the name of the device that the local routes of s refer to.
func deviceOf(s *Steering) string {
	_, name := s.routes.Device()
	return name
}
