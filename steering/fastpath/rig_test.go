package fastpath

import (
	"log/slog"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"anyport/steering/netnstest"
)

// rig is a client, an edge and an origin, each in a namespace of its own. The test's thread is in the
// edge's.
//
//	client 10.1.0.2 -- c0 (edge) o0 -- 10.2.0.2 origin
//	       fd01::2                      fd02::2
type rig struct {
	t              testing.TB
	edge           netns.NsHandle
	client, origin netns.NsHandle
	filters        bool // attach as on a kernel without TCX
}

// filtersOnly has all tests attach so.
var filtersOnly = os.Getenv("ANYPORT_FILTERS") != ""

var (
	dst4, dst6 = netip.MustParseAddr("203.0.113.5"), netip.MustParseAddr("2001:db8::5")
)

func newRig(t testing.TB) *rig {
	t.Helper()
	netnstest.InNamespace(t)
	r := &rig{t: t, filters: filtersOnly}
	var err error
	if r.edge, err = netns.Get(); err != nil {
		t.Fatal(err)
	}
	r.client, r.origin = netnstest.New(t), netnstest.New(t)
	r.connect(r.client, "c0", "1")
	r.connect(r.origin, "o0", "2")
	lo, err := netlink.LinkByName("lo")
	r.check(err)
	for _, served := range []string{"203.0.113.0/24", "2001:db8::/64"} {
		_, to, _ := net.ParseCIDR(served)
		r.check(netlink.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: to, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: unix.RT_SCOPE_HOST}))
	}
	return r
}

func (r *rig) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// in runs f on a thread of the namespace.
func (r *rig) in(ns netns.NsHandle, f func() error) {
	r.t.Helper()
	netnstest.In(r.t, ns, f)
}

// connect makes a veth pair: name on the edge, eth0 in ns, in the networks 10.n.0.0/24 and fd0n::/64.
func (r *rig) connect(ns netns.NsHandle, name, n string) {
	r.t.Helper()
	netnstest.Connect(r.t, netnstest.End{Namespace: r.edge, Device: name, Addresses: []string{"10." + n + ".0.1/24", "fd0" + n + "::1/64"}},
		netnstest.End{Namespace: ns, Device: "eth0", Addresses: []string{"10." + n + ".0.2/24", "fd0" + n + "::2/64"}})
	r.in(ns, func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		for _, via := range []string{"10." + n + ".0.1", "fd0" + n + "::1"} {
			if err := netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.ParseIP(via)}); err != nil {
				return err
			}
		}
		return nil
	})
}

// socket binds a UDP socket in a namespace.
func (r *rig) socket(ns netns.NsHandle, addr string) (conn *net.UDPConn) {
	r.t.Helper()
	r.in(ns, func() (err error) {
		conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
		return err
	})
	r.t.Cleanup(func() { conn.Close() })
	return conn
}

// checksums switches the transmit checksum offload of a device: without it the kernel computes
// them before the packet leaves, and the receiver verifies them.
func (r *rig) checksums(ns netns.NsHandle, name string, on bool) {
	r.t.Helper()
	r.in(ns, func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		value := struct{ command, data uint32 }{unix.ETHTOOL_STXCSUM, 0}
		if on {
			value.data = 1
		}
		request := struct {
			name [16]byte
			data unsafe.Pointer
			_    [16]byte
		}{data: unsafe.Pointer(&value)}
		copy(request.name[:], name)
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
			return errno
		}
		return nil
	})
}

// open opens the fast path of the edge.
func (r *rig) open() *Path {
	r.t.Helper()
	o, err := Load()
	r.check(err)
	if r.filters {
		r.check(o.Attached.UseFilters())
	}
	p, err := Open(o, slog.New(slog.DiscardHandler))
	r.check(err)
	r.t.Cleanup(func() { r.check(p.Close()) })
	r.check(p.Serve(true))
	return p
}

const patience = 20 * time.Second

// receive returns the next datagram, nil if there is none for a while.
func (r *rig) receive(c *net.UDPConn, wait time.Duration) ([]byte, netip.AddrPort) {
	r.t.Helper()
	b := make([]byte, 1<<16)
	r.check(c.SetReadDeadline(time.Now().Add(wait)))
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		return nil, netip.AddrPort{}
	}
	return b[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
}
