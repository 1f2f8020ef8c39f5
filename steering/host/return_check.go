package host

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/bpf/mark"
)

// ReturnWay is how packets to and from one origin go.
type ReturnWay struct {
	Origin    netip.Addr
	Interface string // that packets to the origin leave through; "": there is no route
	Refused   string // why a packet that comes back there with the mark is not delivered to this host; "": it is
}

// someClients are addresses of clients that no host has (RFC 5737, RFC 3849).
var someClients = map[bool]netip.Addr{true: netip.MustParseAddr("203.0.113.253"), false: netip.MustParseAddr("2001:db8:ffff:ffff::fffd")}

// ReadReturnWay asks the kernel of this thread's namespace as a packet would that comes back with the
// mark: so rules of other programs, reverse path filters and marks of interfaces all count.
func ReadReturnWay(origin netip.Addr) (ReturnWay, error) {
	w := ReturnWay{Origin: origin}
	to, err := netlink.RouteGet(origin.AsSlice())
	if err != nil || len(to) == 0 {
		return w, nil
	}
	device, err := netlink.LinkByIndex(to[0].LinkIndex)
	if err != nil {
		return w, fmt.Errorf("read about the interface to %s: %w", origin, err)
	}
	w.Interface = device.Attrs().Name
	back, err := netlink.RouteGetWithOptions(someClients[origin.Is4()].AsSlice(), &netlink.RouteGetOptions{
		Iif: w.Interface, SrcAddr: origin.AsSlice(), Mark: mark.Packet,
	})
	switch {
	case err != nil:
		w.Refused = fmt.Sprintf("the kernel refuses it: %v", err)
	case len(back) == 0 || back[0].Type != unix.RTN_LOCAL:
		w.Refused = "the kernel would forward it"
	}
	return w, nil
}
