package fastpath

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// device is one that the program is attached to.
type device struct {
	name string
	mtu  int
}

// Device is whether datagrams are forwarded between one device and others.
type Device struct {
	Name string
	Off  string // why not; "": they are
}

// devices are those of the namespace. Its mutex guards all of it.
type devices struct {
	mu     sync.Mutex
	links  map[int]link.Link // of the program, by interface index
	state  []Device          // as of the last update, by name
	handle *netlink.Handle
}

// candidate is a device as the kernel describes it.
type candidate struct {
	index, mtu int
	name       string
	off        string // why the program is not attached; "": it is
}

// judge says of each device whether the program can forward between it and others. Packets of a
// bridge's or bond's member go through the ingress of the bridge or bond as well.
func judge(links []netlink.Link) []candidate {
	var all []candidate
	for _, l := range links {
		a := l.Attrs()
		c := candidate{index: a.Index, mtu: a.MTU, name: a.Name}
		master := slices.IndexFunc(links, func(m netlink.Link) bool { return a.MasterIndex != 0 && m.Attrs().Index == a.MasterIndex })
		switch {
		case a.Flags&net.FlagLoopback != 0:
			continue
		case a.Flags&net.FlagUp == 0:
			c.off = "it is down"
		case a.EncapType != "ether":
			c.off = "its packets have no Ethernet header"
		case a.MasterIndex != 0 && master < 0:
			c.off = "it belongs to a device that this namespace does not have"
		case master >= 0 && links[master].Type() == "vrf", l.Type() == "vrf":
			c.off = "it belongs to a VRF"
		case master >= 0:
			c.off = "it is a member of " + links[master].Attrs().Name
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b candidate) int { return cmp.Compare(a.name, b.name) })
	return all
}

// update attaches the program to devices that are new, and closes the links of those that are not
// fit any more. It reports whether what is attached has changed.
func (d *devices) update(program *ebpf.Program) (attached map[int]device, changed bool, err error) {
	links, err := listLinks(d.handle)
	if err != nil {
		return nil, false, fmt.Errorf("list the interfaces: %w", err)
	}
	attached, before := map[int]device{}, maps.Clone(d.links)
	var state []Device
	for _, c := range judge(links) {
		if c.off == "" {
			if err := d.attach(c.index, program); err != nil {
				c.off = err.Error()
			}
		}
		if c.off == "" {
			attached[c.index] = device{c.name, c.mtu}
		}
		state = append(state, Device{c.name, c.off})
	}
	for index, l := range d.links {
		if _, ok := attached[index]; !ok {
			err = errors.Join(err, l.Close())
			delete(d.links, index)
		}
	}
	d.state = state
	return attached, !maps.Equal(before, d.links), err
}

// attach attaches the program, unless it is.
func (d *devices) attach(index int, program *ebpf.Program) error {
	if _, ok := d.links[index]; ok {
		return nil
	}
	l, err := link.AttachTCX(link.TCXOptions{Interface: index, Program: program, Attach: ebpf.AttachTCXIngress})
	if errors.Is(err, ebpf.ErrNotSupported) {
		return errors.New("this kernel has no TCX, which Linux 6.6 has")
	}
	if err != nil {
		return fmt.Errorf("attach the program: %w", err)
	}
	d.links[index] = l
	return nil
}

// listLinks asks again when the kernel's answer changed while it was given.
func listLinks(handle *netlink.Handle) (all []netlink.Link, err error) {
	for range 10 {
		if all, err = handle.LinkList(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}

func openDevices() (*netlink.Handle, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	return handle, nil
}

// close detaches the program.
func (d *devices) close() error {
	var errs []error
	for index, l := range d.links {
		errs = append(errs, l.Close())
		delete(d.links, index)
	}
	if d.handle != nil {
		d.handle.Close()
		d.handle = nil
	}
	return errors.Join(errs...)
}
