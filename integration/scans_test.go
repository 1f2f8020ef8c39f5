package integration

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// scanList is what the tests read of `anyport scans --json`.
type scanList struct {
	Packets, Skipped  uint64
	Clients, Networks []struct {
		Prefix  string
		Packets uint64
		Ports   struct {
			Count  int
			Listed []string
		}
	}
	Ports []scannedPort
}

type scannedPort struct {
	Prefix, Protocol string
	Port, Clients    int
}

func (p *proxy) scans(t *testing.T) (list scanList) {
	t.Helper()
	if err := json.Unmarshal([]byte(p.host.output(t, program, "scans", "--socket", p.socket, "--json")), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// portsOf are the ports that the list has of a client or a network; nil: it is not in the list.
func (l scanList) portsOf(prefix string) []string {
	for _, c := range append(l.Clients, l.Networks...) {
		if c.Prefix == prefix {
			return c.Ports.Listed
		}
	}
	return nil
}

// knockAt tries a port that is not served.
func (h *host) knockAt(network, dst string) {
	if conn, err := h.tryDial(network, "", dst); err == nil {
		fmt.Fprint(conn, "hello")
		conn.Close()
	}
}

const scansTable = "[route.web]\nprotocol = [\"tcp\", \"udp\"]\nprefixes = [\"192.0.2.0/24\", \"2001:db8:1::/48\"]\nports = [80]\norigins = [\"10.0.0.5:4000\"]\nproxy_protocol = \"off\"\n" +
	"[route.hole]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.0/24\"]\nports = [6379]\naction = \"drop\"\n"

// TestScans: who sends to ports that nobody serves is listed with its network and the ports, over both families and
// protocols, and still after a reload; a client of served ports is not listed. The next process begins anew, after an upgrade
// and after a kill.
func TestScans(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4000", echo)
	p := r.edge.serveWith(t, scansTable)
	knock := r.client.knockAt
	talk(t, r.client.dial(t, "tcp", dstV4+":80"), "hello")
	scanned := func(what string, from string, want ...string) {
		t.Helper()
		eventually(t, what, func() bool {
			slices.Sort(want)
			got := slices.Sorted(slices.Values(p.scans(t).portsOf(from)))
			return slices.Equal(got, want)
		})
	}
	knock("tcp", dstV4+":22")
	knock("tcp", dstV4+":23")
	knock("udp", dstV4+":53")
	knock("tcp", "["+dstV6+"]:8080")
	scanned("the client appears with its ports", clientV4+"/32", "22/tcp", "23/tcp", "53/udp")
	scanned("and its network", "198.51.100.0/24", "22/tcp", "23/tcp", "53/udp")
	scanned("a client of IPv6 appears as a /64", "2001:db8:c::/64", "8080/tcp")
	list := p.scans(t)
	if i := slices.IndexFunc(list.Ports, func(p scannedPort) bool { return p.Port == 22 }); i < 0 || list.Ports[i].Prefix != servedV4 || list.Ports[i].Protocol != "tcp" || list.Ports[i].Clients != 1 {
		t.Errorf("ports: %+v", list.Ports)
	}
	said := r.edge.output(t, program, "scans", "--socket", p.socket)
	for _, want := range []string{"CLIENT", clientV4, "22/tcp 23/tcp 53/udp", "NETWORK", "198.51.100.0/24", "22/tcp ", servedV4} {
		if !strings.Contains(said, want) {
			t.Errorf("anyport scans lacks %q:\n%s", want, said)
		}
	}
	if strings.Contains(said, "80/tcp") && !strings.Contains(said, "8080/tcp") {
		t.Errorf("a served port is listed:\n%s", said)
	}
	if said := r.edge.output(t, program, "status", "--socket", p.socket); !strings.Contains(strings.Join(strings.Fields(said), " "), "to ports that nobody serves, from 2 clients") {
		t.Errorf("anyport status:\n%s", said)
	}
	r.edge.output(t, program, "reload", "--socket", p.socket)
	scanned("a reload keeps the list", clientV4+"/32", "22/tcp", "23/tcp", "53/udp")

	newFamily(t, p).upgrade(t)
	if got := p.scans(t).portsOf(clientV4 + "/32"); got != nil {
		t.Errorf("after an upgrade: %v", got)
	}
	knock("tcp", dstV4+":24")
	scanned("after an upgrade", clientV4+"/32", "24/tcp")
}

// TestScanFlood: of a flood from forged addresses to all ports, the lists hold a bounded number, the counters all
// packets, and a client that scans meanwhile appears. The next process after a kill goes on.
func TestScanFlood(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.edge.serveWith(t, "[steering]\npin = \"\"\nunmatched = \"drop\"\n"+scansTable)
	knock := r.client.knockAt
	from, to := netip.MustParseAddr("203.0.113.1").As4(), netip.MustParseAddrPort(dstV4+":1")
	stop := r.client.forge(t, to.Addr(), 20_000, func(n uint64) []byte {
		h := uint32(n) * 0x9e3779b1
		from = [4]byte{203, byte(h >> 24), byte(h >> 16), byte(h >> 8)}
		return forgedSYN(netip.AddrPortFrom(netip.AddrFrom4(from), 4711), netip.AddrPortFrom(to.Addr(), uint16(1000+n%60_000)))
	})
	eventually(t, "packets are reported and others skipped", func() bool {
		list := p.scans(t)
		return list.Packets > 2000 && list.Skipped > 2000
	})
	eventually(t, "a scanner appears among them", func() bool {
		for port := range 20 {
			knock("udp", fmt.Sprintf("%s:%d", dstV4, 100+port))
		}
		return p.scans(t).portsOf(clientV4+"/32") != nil
	})
	stop()
	list := p.scans(t)
	if len(list.Clients) > 1024 || len(list.Networks) > 1024 || len(list.Ports) > 1024 {
		t.Errorf("%d clients, %d networks, %d ports", len(list.Clients), len(list.Networks), len(list.Ports))
	}
	eventually(t, "the kernel has counted as many", func() bool {
		var s struct {
			Steering struct{ Unmatched map[string]uint64 }
			Routes   []struct{ Dropped uint64 }
		}
		if err := json.Unmarshal(p.statusJSON(t), &s); err != nil {
			t.Fatal(err)
		}
		list, dropped := p.scans(t), s.Steering.Unmatched["drop"]
		for _, r := range s.Routes {
			dropped += r.Dropped
		}
		return list.Packets+list.Skipped == dropped
	})
	p.signal(t, syscall.SIGKILL)
	p.wait(t)
	again := p.restart(t)
	eventually(t, "the next process", func() bool {
		knock("udp", dstV4+":99")
		return slices.Equal(p.scans(t).portsOf(clientV4+"/32"), []string{"99/udp"})
	})
	again.signal(t, syscall.SIGTERM)
	if status := again.wait(t); status != 0 {
		t.Errorf("anyport ended with %d", status)
	}
}
