package obstacle

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"

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
	rules   []Obstacle               // of nftables, as they were when they changed last
	names   map[uint32]string        // of the devices, which rules may know by their index; nil: nothing was read
	inet    [2]int                   // a socket for IPv4 and one for IPv6, to ask about iptables; -1: none
}

// Open opens the sockets to ask the kernel by.
func Open() (*Reader, error) {
	r := &Reader{inet: [2]int{-1, -1}}
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

// Read returns all obstacles. own are the ids of the programs that are ours. Rules of nftables may be
// many, and are read again only if they may have changed. What this process may not look at is an error,
// for it may be an obstacle.
func (r *Reader) Read(links []netlink.Link, own []uint32, changed bool) (all []Obstacle, err error) {
	names := map[uint32]string{}
	for _, l := range links {
		names[uint32(l.Attrs().Index)] = l.Attrs().Name
	}
	if changed || !maps.Equal(names, r.names) {
		r.names = nil
		if r.rules, err = r.readNFT(names); err != nil {
			return nil, fmt.Errorf("read the rules of nftables: %w", err)
		}
		r.names = names
	}
	all = append(all, r.rules...)
	for _, read := range []func() ([]Obstacle, error){r.readIPTables, r.readIPsec} {
		more, err := read()
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	for _, l := range links {
		if l.Attrs().Flags&net.FlagLoopback != 0 {
			continue
		}
		what, err := r.readIngress(l, own)
		if errors.Is(err, unix.ENODEV) { // it has gone meanwhile
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read what is at the ingress of %s: %w", l.Attrs().Name, err)
		}
		for _, w := range what {
			all = append(all, Obstacle{Device: l.Attrs().Name, What: w})
		}
	}
	return all, nil
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
