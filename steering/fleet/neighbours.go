package fleet

import (
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// network asks the kernel about the backplane. It belongs to the namespace that it was opened in.
type network struct{ handle *netlink.Handle }

// validNeighbour are the states of a neighbour whose MAC address holds (linux/neighbour.h, NUD_VALID).
const validNeighbour = netlink.NUD_PERMANENT | netlink.NUD_NOARP | netlink.NUD_REACHABLE | netlink.NUD_PROBE | netlink.NUD_STALE | netlink.NUD_DELAY

// ways finds how packets leave for the peers: the MAC address of the next hop, by the kernel's route and
// its neighbour table. Greetings, which the kernel sends, keep the neighbours there up to date; so no
// forwarding need be on, which bpf_fib_lookup asks for. Who has no way has a reason.
func (n network) ways(device int, local netip.Addr, peers []netip.Addr) (found map[netip.Addr]way, off map[netip.Addr]string) {
	found, off = map[netip.Addr]way{}, map[netip.Addr]string{}
	family := netlink.FAMILY_V4
	if local.Is6() {
		family = netlink.FAMILY_V6
	}
	neighbours, err := n.handle.NeighList(device, family)
	for _, p := range peers {
		if err != nil {
			off[p] = "the kernel does not say who is on the backplane: " + err.Error()
			continue
		}
		hop, why := n.nextHop(device, local, p)
		if why == "" {
			found[p], why = macOf(neighbours, hop)
		}
		if why != "" {
			off[p] = why
		}
	}
	return found, off
}

// nextHop is the peer itself, or a router on the backplane.
func (n network) nextHop(device int, local, peer netip.Addr) (netip.Addr, string) {
	routes, err := n.handle.RouteGetWithOptions(peer.AsSlice(), &netlink.RouteGetOptions{SrcAddr: local.AsSlice()})
	switch {
	case err != nil:
		return peer, "there is no route to it: " + err.Error()
	case len(routes) == 0 || routes[0].Type != unix.RTN_UNICAST:
		return peer, "there is no route to it"
	case routes[0].LinkIndex != device:
		return peer, "the route to it leads through another device"
	}
	hop, ok := netip.AddrFromSlice(routes[0].Gw)
	if !ok {
		return peer, ""
	}
	return hop.Unmap(), ""
}

func macOf(neighbours []netlink.Neigh, hop netip.Addr) (way, string) {
	for _, n := range neighbours {
		at, ok := netip.AddrFromSlice(n.IP)
		if ok && at.Unmap() == hop && n.State&validNeighbour != 0 && len(n.HardwareAddr) == 6 {
			return way{[6]byte(n.HardwareAddr)}, ""
		}
	}
	return way{}, "its MAC address is not known: " + hop.String() + " does not answer"
}

// backplane is the device as the kernel has it.
type backplane struct {
	index, mtu int
	mac        [6]byte
	off        string // why it can't be one; "": it can
}

// known reports whether it could be one at some time.
func (b backplane) known() bool { return b.mac != [6]byte{} }

// after is what there was before, if the device can't be one now.
func (b backplane) after(before backplane) backplane {
	if b.off == "" || !before.known() {
		return b
	}
	before.off = b.off
	return before
}

// find looks for a device by its name.
func (n network) find(name string) backplane {
	l, err := n.handle.LinkByName(name)
	if err != nil {
		return backplane{off: "there is no device " + name + ": " + err.Error()}
	}
	a := l.Attrs()
	b := backplane{index: a.Index, mtu: a.MTU}
	switch {
	case a.EncapType != "ether" || len(a.HardwareAddr) != 6:
		b.off = "packets of " + name + " have no Ethernet header"
	case a.Flags&net.FlagUp == 0:
		b.off = name + " is not up: ip link set " + name + " up"
	default:
		b.mac = [6]byte(a.HardwareAddr)
	}
	return b
}
