package obstacle

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Obstacle is something that datagrams would go round.
type Obstacle struct {
	Device string // that it concerns; "": all
	Prefix bool   // Device is how the names of the devices begin
	What   string // as `nft list ruleset` and others call it
}

// On returns what stands in the way on a device, the first of all; "": nothing does.
func On(device string, all []Obstacle) string {
	for _, o := range all {
		if concerns(o.Device, o.Prefix, device) {
			return o.What
		}
	}
	return ""
}

// concerns reports whether a device is of that name, or of one that begins so. All have the name "".
func concerns(name string, prefix bool, device string) bool {
	return name == "" || name == device || prefix && len(device) >= len(name) && device[:len(name)] == name
}

// Reader reads the obstacles of the network namespace that it was opened in. One goroutine at a time
// may use it.
type Reader struct {
	route   *netlink.Handle
	ipsec   *netlink.Handle          // nil: the kernel has no IPsec
	sockets map[int]*nl.SocketHandle // for nftables; nil: the kernel has no packet filter
	inet    [2]int                   // a socket for IPv4 and one for IPv6, to ask about iptables; -1: none

	rules, policies []Obstacle        // as they were when they changed last
	names           map[uint32]string // of the devices at that time; nil: nothing was read
	tables          *[]Obstacle       // of iptables-legacy; nil: nothing was read
	ingress         map[int][]string  // of devices by index
}

// Open opens the sockets to ask the kernel by.
func Open() (*Reader, error) {
	r := &Reader{inet: [2]int{-1, -1}, ingress: map[int][]string{}}
	var err error
	if r.route, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	r.ipsec, _ = netlink.NewHandle(unix.NETLINK_XFRM)
	if s, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_NETFILTER); err == nil {
		r.sockets = map[int]*nl.SocketHandle{unix.NETLINK_NETFILTER: {Socket: s}}
	}
	for i, family := range []int{unix.AF_INET, unix.AF_INET6} {
		if fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err == nil {
			r.inet[i] = fd
		}
	}
	return r, nil
}

// Close closes the sockets.
func (r *Reader) Close() {
	if r == nil {
		return
	}
	r.route.Close()
	if r.ipsec != nil {
		r.ipsec.Close()
	}
	for _, s := range r.sockets {
		s.Close()
	}
	for _, fd := range r.inet {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// Read returns all obstacles. own are the ids of the programs that are ours. changed says that rules of
// nftables or policies of IPsec may have changed: else they are not read again, for they may be many.
//
// A process without CAP_NET_ADMIN may not look at most of it. What was read before then holds, until the
// kernel reports a change: that is an error, for what has changed may be an obstacle.
func (r *Reader) Read(links []netlink.Link, own []uint32, changed bool) (all []Obstacle, err error) {
	if err := r.readReported(links, changed); err != nil {
		return nil, err
	}
	switch tables, err := r.readIPTables(); {
	case err == nil:
		r.tables = &tables
	case !errors.Is(err, unix.EPERM) || r.tables == nil:
		return nil, err
	}
	routing, err := r.readRouting()
	if err != nil {
		return nil, err
	}
	all = slices.Concat(r.rules, r.policies, *r.tables, routing)
	for _, l := range links {
		if l.Attrs().Flags&net.FlagLoopback != 0 {
			continue
		}
		what, err := r.readIngress(l, own)
		before, known := r.ingress[l.Attrs().Index]
		switch {
		case errors.Is(err, unix.ENODEV): // it has gone meanwhile
			continue
		case errors.Is(err, unix.EPERM) && known:
			what = before
		case err != nil:
			return nil, fmt.Errorf("read what is at the ingress of %s: %w", l.Attrs().Name, err)
		}
		r.ingress[l.Attrs().Index] = what
		for _, w := range what {
			all = append(all, Obstacle{Device: l.Attrs().Name, What: w})
		}
	}
	return all, nil
}

// readReported reads what the kernel reports changes of. Rules may name a device by its index, so they are
// read again for new devices, if that is possible.
func (r *Reader) readReported(links []netlink.Link, changed bool) error {
	names := map[uint32]string{}
	for _, l := range links {
		names[uint32(l.Attrs().Index)] = l.Attrs().Name
	}
	if !changed && r.names != nil && maps.Equal(names, r.names) {
		return nil
	}
	rules, err := r.readNFT(names)
	var policies []Obstacle
	if err == nil {
		policies, err = r.readIPsec()
	}
	if errors.Is(err, unix.EPERM) && !changed && r.names != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the rules of the packet filter: %w", err)
	}
	r.rules, r.policies, r.names = rules, policies, names
	return nil
}

// ReadHost is Read for the namespace of this thread. It asks for less than a Reader that stays open.
func ReadHost(links []netlink.Link, own []uint32) ([]Obstacle, error) {
	r, err := Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.Read(links, own, true)
}

// missing reports whether the kernel has no such thing, and so no obstacle.
func missing(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.ENOPROTOOPT) || errors.Is(err, unix.EINVAL) || errors.Is(err, os.ErrNotExist)
}
