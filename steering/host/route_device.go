package host

import (
	"errors"
	"regexp"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// RouteDevice is a network device for routes that must not outlive the process: when its last
// descriptor is closed, however the process ends, the kernel removes the device and its routes.
// It belongs to the network namespace of the thread that opened it. It has no mutex.
type RouteDevice struct {
	handle *netlink.Handle
	tun    *tun
}

// RouteDevicePrefix and a number are the name of the device of the announced routes.
const RouteDevicePrefix = "anyport-route"

var routeDeviceName = regexp.MustCompile("^" + RouteDevicePrefix + "[0-9]+$")

// IsRouteDevice reports whether l is the device of the announced routes of some anyport.
func IsRouteDevice(l netlink.Link) bool {
	return l.Type() == "tuntap" && routeDeviceName.MatchString(l.Attrs().Name)
}

// errNoRouteDevice says what to do where the device node is missing.
var errNoRouteDevice = errors.New("the routes of announce.table need a device that ends with this process: modprobe tun; " +
	"in a systemd unit: PrivateDevices=no and DeviceAllow=" + tunNode + " rw; in a container: --device " + tunNode)

// OpenRouteDevice makes a device.
func OpenRouteDevice() (*RouteDevice, error) {
	return newRouteDevice(func(h *netlink.Handle) (*tun, error) { return openTUN(h, RouteDevicePrefix, errNoRouteDevice) })
}

// InheritRouteDevice takes over the device of another process, by its descriptor, which it owns.
func InheritRouteDevice(fd int) (*RouteDevice, error) {
	unix.CloseOnExec(fd)
	return newRouteDevice(func(h *netlink.Handle) (*tun, error) { return inheritTUN(h, fd, RouteDevicePrefix) })
}

func newRouteDevice(open func(*netlink.Handle) (*tun, error)) (*RouteDevice, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	t, err := open(handle)
	if err != nil {
		handle.Close()
		return nil, err
	}
	return &RouteDevice{handle, t}, nil
}

// Name is the name of the device.
func (d *RouteDevice) Name() string { return d.tun.name }

// Index is its number among the interfaces.
func (d *RouteDevice) Index() int { return d.tun.index }

// FD is the descriptor that keeps it. It stays the device's.
func (d *RouteDevice) FD() int { return d.tun.fd }

// Restore makes the device again if somebody has removed it, or sets it up, and reports whether it had to:
// its routes are gone then.
func (d *RouteDevice) Restore() (restored bool, err error) { return d.tun.restore(d.handle) }

// Close closes this process's descriptor. The device goes on if another process has one too.
func (d *RouteDevice) Close() error {
	d.handle.Close()
	return d.tun.close()
}
