package fleet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/steering/bpfmaps"
	"anyport/steering/netnstest"
)

const soon = 30 * time.Second // for what should be there at once

// rig is a client, a router, and edges that serve the same prefixes. All edges are on one backplane, too.
// The router sends all packets for the prefixes to one edge, which is changed by hand.
//
//	client 10.1.0.2 -- router -- 10.2.n.2 edge n -- backplane 10.9.0.n
//	       fd01::2               fd02:n::2                     fd09::n
type rig struct {
	t              testing.TB
	client, router netns.NsHandle
	hub            netns.NsHandle // a bridge: the backplane
	edges          []*edge
	filters        bool // attach as on a kernel without TCX
}

// filtersOnly has all tests attach so.
var filtersOnly = os.Getenv("ANYPORT_FILTERS") != ""

type edge struct {
	ns     netns.NsHandle
	served Served
	fleet  *Fleet
	local  map[bool]netip.Addr // by whether it is IPv6
}

var (
	served4, served6 = netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/64")
	key              = [16]byte{1, 2, 3, 15: 9}
	alsoKey          = [16]byte{4, 15: 1} // accepted by the bench
)

// anywhere binds to addresses that no device has.
var anywhere = net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1) })
}}

func newRig(t *testing.T, edges int) *rig {
	t.Helper()
	netnstest.Enter(t)
	r := &rig{t: t, filters: filtersOnly, client: netnstest.New(t), router: netnstest.New(t)}
	netnstest.Connect(t, netnstest.End{Namespace: r.client, Device: "eth0", Addresses: []string{"10.1.0.2/24", "fd01::2/64"}},
		netnstest.End{Namespace: r.router, Device: "c0", Addresses: []string{"10.1.0.1/24", "fd01::1/64"}})
	netnstest.In(t, r.client, func() error { return routes("eth0", "10.1.0.1", "fd01::1") })
	r.hub = netnstest.New(t)
	netnstest.In(t, r.hub, func() error {
		attributes := netlink.NewLinkAttrs()
		attributes.Name = "br0"
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attributes}); err != nil {
			return err
		}
		return setUp("br0")
	})
	for n := 1; n <= edges; n++ {
		r.addEdge(n)
	}
	netnstest.In(t, r.router, func() error {
		for _, file := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
			if err := os.WriteFile("/proc/sys/net/"+file, []byte("1"), 0o644); err != nil {
				return err
			}
		}
		return nil
	})
	return r
}

// link does something to a device of a namespace.
func (r *rig) link(ns netns.NsHandle, device string, do func(netlink.Link) error) {
	r.t.Helper()
	netnstest.In(r.t, ns, func() error {
		l, err := netlink.LinkByName(device)
		if err == nil {
			err = do(l)
		}
		return err
	})
}

// mtu sets that of a device.
func (r *rig) mtu(ns netns.NsHandle, device string, mtu int) {
	r.t.Helper()
	r.link(ns, device, func(l netlink.Link) error { return netlink.LinkSetMTU(l, mtu) })
}

func setUp(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

func routes(device string, via ...string) error {
	link, err := netlink.LinkByName(device)
	for _, gateway := range via {
		if err == nil {
			err = netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.ParseIP(gateway)})
		}
	}
	return err
}

func (r *rig) addEdge(n int) {
	r.t.Helper()
	e := &edge{ns: netnstest.New(r.t), local: map[bool]netip.Addr{
		false: netip.MustParseAddr(fmt.Sprintf("10.9.0.%d", n)), true: netip.MustParseAddr(fmt.Sprintf("fd09::%d", n)),
	}}
	r.edges = append(r.edges, e)
	four, six := fmt.Sprintf("10.2.%d", n), fmt.Sprintf("fd02:%d:", n)
	netnstest.Connect(r.t, netnstest.End{Namespace: e.ns, Device: "eth0", Addresses: []string{four + ".2/24", six + ":2/64"}},
		netnstest.End{Namespace: r.router, Device: fmt.Sprintf("e%d", n), Addresses: []string{four + ".1/24", six + ":1/64"}})
	port := fmt.Sprintf("p%d", n)
	netnstest.Connect(r.t, netnstest.End{Namespace: e.ns, Device: "back", Addresses: []string{e.local[false].String() + "/24", e.local[true].String() + "/64"}},
		netnstest.End{Namespace: r.hub, Device: port})
	netnstest.In(r.t, r.hub, func() error {
		bridge, err := netlink.LinkByName("br0")
		if err != nil {
			return err
		}
		link, err := netlink.LinkByName(port)
		if err != nil {
			return err
		}
		return netlink.LinkSetMaster(link, bridge)
	})
	netnstest.In(r.t, e.ns, func() error {
		if err := routes("eth0", four+".1", six+":1"); err != nil {
			return err
		}
		lo, err := netlink.LinkByName("lo")
		for _, p := range []netip.Prefix{served4, served6} {
			if err == nil {
				_, to, _ := net.ParseCIDR(p.String())
				err = netlink.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: to, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: unix.RT_SCOPE_HOST})
			}
		}
		return err
	})
	e.served = newServed(r.t)
	r.open(e)
}

// newServed makes the maps of a steering program that serves the two prefixes.
func newServed(t testing.TB) (s Served) {
	t.Helper()
	spec, err := bpf.LoadFleet()
	if err != nil {
		t.Fatal(err)
	}
	var maps struct {
		Generation *ebpf.Map `ebpf:"generation"`
		PrefixesV4 *ebpf.Map `ebpf:"prefixes_v4"`
		PrefixesV6 *ebpf.Map `ebpf:"prefixes_v6"`
		Probes     *ebpf.Map `ebpf:"probes"`
	}
	if err := spec.LoadAndAssign(&maps, nil); err != nil {
		t.Fatal(err)
	}
	s = Served(maps)
	t.Cleanup(func() { s.Generation.Close(); s.PrefixesV4.Close(); s.PrefixesV6.Close(); s.Probes.Close() })
	words4, words6 := bpfmaps.AddrWords(served4.Addr()), bpfmaps.AddrWords(served6.Addr())
	err = s.Generation.Put(uint32(0), bpf.FleetServing{Half: 1})
	if err == nil {
		err = s.PrefixesV4.Put(bpf.FleetPrefixV4{Prefixlen: 32 + 24, Generation: 1, Addr: words4[3]}, bpf.FleetPolicy{})
	}
	if err == nil {
		err = s.PrefixesV6.Put(bpf.FleetPrefixV6{Prefixlen: 32 + 64, Generation: 1, Addr: words6}, bpf.FleetPolicy{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (r *rig) open(e *edge) {
	r.t.Helper()
	netnstest.In(r.t, e.ns, func() error {
		o, err := Load(e.served)
		if err == nil && r.filters {
			err = errors.Join(o.ask.links.UseFilters(), o.take.links.UseFilters())
		}
		if err == nil {
			e.fleet, err = Open(o, nil, slog.New(slog.DiscardHandler))
		}
		return err
	})
	r.t.Cleanup(func() {
		if err := e.fleet.Close(); err != nil {
			r.t.Error(err)
		}
	})
}

// join has all edges be peers, over IPv6 or IPv4, and waits until they know each other.
func (r *rig) join(six bool) {
	r.t.Helper()
	for _, e := range r.edges {
		o := Options{Device: "back", Local: e.local[six], Key: key, Also: key}
		for _, other := range r.edges {
			if other != e {
				o.Peers = append(o.Peers, other.local[six])
			}
		}
		if err := e.fleet.Set(o); err != nil {
			r.t.Fatal(err)
		}
	}
	r.eventually("the edges know each other", func() bool {
		for _, e := range r.edges {
			for _, p := range e.fleet.Status().Peers {
				if !p.Alive {
					return false
				}
			}
		}
		return true
	})
}

func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(soon); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			for n, e := range r.edges {
				r.t.Logf("edge %d: %+v", n+1, e.fleet.Status())
			}
			r.t.Fatal("in vain: " + what)
		}
	}
}

// route sends all packets for the prefixes to one edge.
func (r *rig) route(n int) {
	r.t.Helper()
	netnstest.In(r.t, r.router, func() error {
		for prefix, via := range map[netip.Prefix]string{served4: fmt.Sprintf("10.2.%d.2", n+1), served6: fmt.Sprintf("fd02:%d::2", n+1)} {
			_, to, _ := net.ParseCIDR(prefix.String())
			if err := netlink.RouteReplace(&netlink.Route{Dst: to, Gw: net.ParseIP(via)}); err != nil {
				return err
			}
		}
		return nil
	})
}

// serve accepts on an edge at an address. What a conn sends is answered by serve's own bytes: see answerTo.
func (r *rig) serve(n int, at string) {
	r.t.Helper()
	var l net.Listener
	netnstest.In(r.t, r.edges[n].ns, func() (err error) {
		l, err = anywhere.Listen(context.Background(), "tcp", at)
		return err
	})
	r.t.Cleanup(func() { l.Close() })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answer(c, n)
		}
	}()
}

// answer answers until the conn ends. The origin does not echo: an echo keeps the difference of both
// sequence numbers, and then namespaces, which share the secret of SYN cookies, take a segment for a cookie.
func answer(c net.Conn, n int) {
	defer c.Close()
	var request [8]byte
	for {
		if _, err := io.ReadFull(c, request[:]); err != nil {
			return
		}
		if _, err := c.Write(answerTo(n, binary.BigEndian.Uint64(request[:]))); err != nil {
			return
		}
	}
}

// answerTo has another length each time.
func answerTo(n int, request uint64) []byte {
	b := make([]byte, 16+request*request*100%4000)
	binary.BigEndian.PutUint64(b, request)
	b[8] = byte(n)
	return b
}

// conn is one of the client's.
type conn struct {
	net.Conn
	edge int // that has it
	sent uint64
}

func (r *rig) dial(n int, at string) *conn {
	r.t.Helper()
	r.route(n)
	var c net.Conn
	netnstest.In(r.t, r.client, func() (err error) {
		c, err = net.DialTimeout("tcp", at, soon)
		return err
	})
	r.t.Cleanup(func() { c.Close() })
	return &conn{Conn: c, edge: n}
}

// ask sends a request, and checks the answer.
func (c *conn) ask() error {
	return c.askBy(func(request []byte) error {
		_, err := c.Write(request)
		return err
	})
}

// askSlowly sends a request byte by byte. Nothing comes from the edge meanwhile.
func (c *conn) askSlowly(pause time.Duration) error {
	return c.askBy(func(request []byte) error {
		for i := range request {
			if _, err := c.Write(request[i : i+1]); err != nil {
				return err
			}
			time.Sleep(pause)
		}
		return nil
	})
}

func (c *conn) askBy(send func(request []byte) error) error {
	c.sent++
	if err := c.SetDeadline(time.Now().Add(soon)); err != nil {
		return err
	}
	if err := send(binary.BigEndian.AppendUint64(nil, c.sent)); err != nil {
		return err
	}
	want := answerTo(c.edge, c.sent)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if string(got) != string(want) {
		return fmt.Errorf("request %d of the conn of edge %d: another answer: %x", c.sent, c.edge, got[:16])
	}
	return nil
}

// askAll has all conns ask at the same time.
func (r *rig) askAll(conns []*conn) {
	r.t.Helper()
	var all sync.WaitGroup
	for _, c := range conns {
		all.Go(func() {
			if err := c.ask(); err != nil {
				r.t.Errorf("a conn of edge %d: %v", c.edge, err)
			}
		})
	}
	all.Wait()
}
