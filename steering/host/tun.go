package host

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/gaissmai/bart"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// tun is a network device that exists as long as a process holds its file descriptor. The
// local routes refer to it where nothing is pinned: when the process dies, the kernel removes
// the device and with it the routes, so that the served addresses do not reach the host's
// listeners. No packet passes through it: the kernel delivers what a local route takes by
// way of lo, whatever device the route names (ip_route_input_slow, ip6_rt_get_dev_rcu).
type tun struct {
	fd     int
	prefix string // of the name
	name   string
	index  int
}

const (
	tunNode   = "/dev/net/tun"
	tunPrefix = "anyport" // the device is anyport0, or the next number that is free
)

// errNoTUN is why anyport refuses to start where neither pins nor a device can protect the host's listeners.
var errNoTUN = errors.New("when this process dies, the host's listeners would answer on the served addresses, and the two ways against that are missing: " +
	"a bpffs (mount -t bpf -o mode=0700 bpf /sys/fs/bpf), or " + tunNode + " (modprobe tun; in a systemd unit: PrivateDevices=no and DeviceAllow=" + tunNode + " rw; " +
	"in a container: --device " + tunNode + "); or see to the local routes yourself, with steering.manage_routes = false")

// openTUN makes a device in the network namespace of this thread. Its name is the prefix with the next free number.
// The advice is part of the error if there is no device node.
func openTUN(handle *netlink.Handle, prefix string, advice error) (*tun, error) {
	fd, err := unix.Open(tunNode, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w: %w", tunNode, err, advice)
	}
	t := &tun{fd: fd, prefix: prefix}
	if err := t.create(handle); err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

// create also makes another device for a descriptor whose device somebody has deleted.
func (t *tun) create(handle *netlink.Handle) error {
	request, err := unix.NewIfreq(t.prefix + "%d")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(t.fd, unix.TUNSETIFF, request); err != nil {
		return fmt.Errorf("make the network device %s0: TUNSETIFF: %w", t.prefix, err)
	}
	t.name = request.Name()
	return t.setUp(handle)
}

// inheritTUN takes over the device of another process.
func inheritTUN(handle *netlink.Handle, fd int, prefix string) (*tun, error) {
	t := &tun{fd: fd, prefix: prefix}
	request, err := unix.NewIfreq("")
	if err == nil {
		err = os.NewSyscallError("TUNGETIFF", unix.IoctlIfreq(fd, unix.TUNGETIFF, request))
	}
	if err == nil {
		t.name = request.Name()
		err = t.setUp(handle)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("go on with the network device of another process: %w", err), t.close())
	}
	return t, nil
}

// setUp sets the device up, without addresses: the kernel would otherwise add one of IPv6.
func (t *tun) setUp(handle *netlink.Handle) error {
	link, err := handle.LinkByName(t.name)
	if err != nil {
		return fmt.Errorf("find the network device %s: %w", t.name, err)
	}
	t.index = link.Attrs().Index
	if link.Attrs().Flags&unix.IFF_UP != 0 {
		return nil
	}
	_ = handle.LinkSetIP6AddrGenMode(link, nl.IN6_ADDR_GEN_MODE_NONE) // fails without IPv6
	t.enableIPv6LikeLoopback()
	if err := handle.LinkSetUp(link); err != nil {
		return fmt.Errorf("set the network device %s up: %w", t.name, err)
	}
	return nil
}

// enableIPv6LikeLoopback switches IPv6 on where lo has it, though net.ipv6.conf.default.disable_ipv6
// is set, as in most containers. Where /proc/sys is read-only, the first IPv6 route fails
// and says what to do.
func (t *tun) enableIPv6LikeLoopback() {
	const path = "/proc/sys/net/ipv6/conf/%s/disable_ipv6"
	if off, err := os.ReadFile(fmt.Sprintf(path, "lo")); err == nil && strings.TrimSpace(string(off)) == "0" {
		_ = os.WriteFile(fmt.Sprintf(path, t.name), []byte("0"), 0)
	}
}

// isUp reports whether the device is there and up: otherwise its routes are gone.
func (t *tun) isUp(handle *netlink.Handle) bool {
	link, err := handle.LinkByIndex(t.index)
	return err == nil && link.Attrs().Name == t.name && link.Attrs().Flags&unix.IFF_UP != 0
}

// remove ends the device for all who have it: the service manager may keep a descriptor.
func (t *tun) remove(handle *netlink.Handle) error {
	if t == nil {
		return nil
	}
	var err error
	if link, missing := handle.LinkByName(t.name); missing == nil && link.Attrs().Index == t.index {
		err = handle.LinkDel(link)
	}
	if errors.Is(err, unix.EPERM) { // without manage_routes: it ends with the last descriptor
		err = nil
	}
	return errors.Join(err, t.close())
}

// close closes this process's descriptor. With the last one the kernel removes the device, and with that the
// routes that refer to it.
func (t *tun) close() error {
	if t == nil {
		return nil
	}
	return unix.Close(t.fd)
}

// deviceName is a device that anyport makes.
var deviceName = regexp.MustCompile("^" + tunPrefix + "[0-9]+$")

// TUNDevices lists the devices that an anyport has made, without those that except tells of.
func (l *LocalRoutes) TUNDevices(except func(name string) bool) ([]netlink.Link, error) {
	links, err := Dump(l.handle.LinkList)
	return slices.DeleteFunc(links, func(l netlink.Link) bool {
		name := l.Attrs().Name
		return l.Type() != "tuntap" || !deviceName.MatchString(name) || except(name)
	}), err
}

// TryTUN opens the device node, which makes no device yet.
func TryTUN() error {
	node, err := os.OpenFile(tunNode, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return node.Close()
}

// restoreDevice makes the device again if somebody has removed it, which removes its routes too.
func (l *LocalRoutes) restoreDevice() (restored bool, err error) {
	if l.tun == nil {
		return false, nil
	}
	return l.tun.restore(l.handle)
}

// restore reports whether it had to set the device up or to make it again.
func (t *tun) restore(handle *netlink.Handle) (restored bool, err error) {
	if t.isUp(handle) {
		return false, nil
	}
	if _, missing := handle.LinkByName(t.name); missing == nil {
		err = t.setUp(handle)
	} else {
		err = t.create(handle)
	}
	return err == nil, err
}

// OpenTUN has the routes refer to a device that ends with this process.
func (l *LocalRoutes) OpenTUN() (err error) {
	l.tun, err = openTUN(l.handle, tunPrefix, errNoTUN)
	return err
}

// InheritTUN has them refer to the device of another process.
func (l *LocalRoutes) InheritTUN(fd int) (err error) {
	l.tun, err = inheritTUN(l.handle, fd, tunPrefix)
	return err
}

// TUNFD is the descriptor that keeps the device, if the routes refer to one.
func (l *LocalRoutes) TUNFD() (fd int, ok bool) {
	if l.tun == nil {
		return 0, false
	}
	return l.tun.fd, true
}

// EndingWithProcess are the routes that end with this process.
func (l *LocalRoutes) EndingWithProcess() *bart.Lite {
	if l.tun == nil {
		return new(bart.Lite)
	}
	return &l.own
}
