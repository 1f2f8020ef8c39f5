package fastpath

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/steering/fastpath/obstacle"
	"anyport/steering/ingress"
	"anyport/steering/program"
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

// devices are those of the namespace. Its mutex guards all of it, and the links of the objects.
type devices struct {
	mu     sync.Mutex
	wanted bool // the program is to be attached
	known  bool // there was an update

	rulesChanged atomic.Bool // those of nftables may have
	state        []Device    // as of the last update, by name
	handle       *netlink.Handle
	reader       *obstacle.Reader
	netns        ingress.Namespace
	tolerated    []uint32 // ids of programs of ours at the ingress: no obstacles
}

// update attaches the program to devices that are fit and have no obstacle, and detaches it from those
// that are not fit any more. Where an obstacle appears the program stays, so that this process needs no
// privilege when it is gone, and forwards nothing.
func (d *devices) update(o *Objects) (attached map[int]device, err error) {
	links, err := ingress.List(d.handle)
	if err != nil {
		return nil, fmt.Errorf("list the interfaces: %w", err)
	}
	attached, d.state = map[int]device{}, nil
	fit, obstacles, unread := map[int]bool{}, []obstacle.Obstacle(nil), error(nil)
	if d.wanted {
		if err := o.Attached.Links.Repair(o.Program); err != nil { // else the other build's program would be an obstacle
			return nil, err
		}
		obstacles, unread = d.readObstacles(links, o.Program)
	}
	for _, c := range candidates(links) {
		if c.Off == "" && !d.wanted {
			c.Off = "no route needs it"
		}
		if c.Off == "" {
			fit[c.Index] = true
			c.Off = obstacle.On(c.Name, obstacles)
		}
		if c.Off == "" && unread != nil {
			c.Off = unread.Error()
		}
		if c.Off == "" {
			if err := o.Attached.Attach(o.Program, c.Index, link.Head()); err != nil {
				c.Off = err.Error()
			}
		}
		if c.Off == "" {
			attached[c.Index] = device{c.Name, c.MTU}
		}
		d.state = append(d.state, Device{c.Name, c.Off})
	}
	return attached, o.Attached.DetachOthers(fit)
}

// candidates are the devices that there are. A tunnel whose other end each route names would drop what the
// program sends through it: it comes without a route.
func candidates(links []netlink.Link) []ingress.Candidate {
	all := ingress.Candidates(links)
	for i, c := range all {
		at := slices.IndexFunc(links, func(l netlink.Link) bool { return l.Attrs().Index == c.Index })
		if c.Off == "" && isExternal(links[at]) {
			all[i].Off = "it is an external tunnel"
		}
	}
	return all
}

func isExternal(l netlink.Link) bool {
	switch tunnel := l.(type) {
	case *netlink.Vxlan:
		return tunnel.FlowBased
	case *netlink.Geneve:
		return tunnel.FlowBased
	case *netlink.Gretap:
		return tunnel.FlowBased
	}
	return false
}

// readObstacles does not count the program itself.
func (d *devices) readObstacles(links []netlink.Link, own *ebpf.Program) ([]obstacle.Obstacle, error) {
	id, err := program.IDOf(own)
	if err != nil {
		return nil, err
	}
	changed, known := d.rulesChanged.Swap(false), append(slices.Clone(d.tolerated), uint32(id))
	all, err := d.reader.Read(links, known, changed)
	for range 5 { // while a process changes its user, it has no privileges for a moment
		if !errors.Is(err, unix.EPERM) {
			break
		}
		time.Sleep(20 * time.Millisecond)
		all, err = d.reader.Read(links, known, changed)
	}
	if err != nil && changed {
		d.rulesChanged.Store(true)
	}
	return all, err
}

// open opens what asks the kernel about the network namespace of this thread.
func (d *devices) open() (err error) {
	if d.netns, err = ingress.OpenNamespace(); err != nil {
		return err
	}
	if d.reader, err = obstacle.Open(); err != nil {
		return err
	}
	if d.handle, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return fmt.Errorf("open a netlink socket: %w", err)
	}
	return nil
}

// isOpen is false before open and after close.
func (d *devices) isOpen() bool { return d.handle != nil }

func (d *devices) close() {
	if d.handle != nil {
		d.handle.Close()
	}
	d.reader.Close()
	d.netns.Close()
	d.handle, d.reader = nil, nil
}

// Forecast says which devices of this thread's network namespace the program would forward between.
func Forecast() (all []Device, err error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list the interfaces: %w", err)
	}
	obstacles, err := obstacle.ReadHost(links, nil)
	if err != nil {
		return nil, err
	}
	for _, c := range candidates(links) {
		all = append(all, Device{c.Name, cmp.Or(c.Off, obstacle.On(c.Name, obstacles))})
	}
	return all, nil
}
