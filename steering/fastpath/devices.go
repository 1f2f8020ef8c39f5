package fastpath

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/steering/fastpath/obstacle"
	"anyport/steering/host"
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
	netns        *os.File // the namespace, for threads that are in another one
}

// candidate is a device as the kernel describes it.
type candidate struct {
	index, mtu int
	name       string
	off        string // why the program is not attached; "": it is
}

// judge says of each device that is up whether the program can forward between it and others. Packets of a
// bridge's or bond's member go through the ingress of the bridge or bond as well.
func judge(links []netlink.Link) []candidate {
	var all []candidate
	for _, l := range links {
		a := l.Attrs()
		c := candidate{index: a.Index, mtu: a.MTU, name: a.Name}
		master := slices.IndexFunc(links, func(m netlink.Link) bool { return a.MasterIndex != 0 && m.Attrs().Index == a.MasterIndex })
		switch {
		case a.Flags&net.FlagLoopback != 0 || a.Flags&net.FlagUp == 0 || host.IsTUN(l):
			continue
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

// update attaches the program to devices that are fit and have no obstacle, and detaches it from those
// that are not fit any more. Where an obstacle appears the program stays, so that this process needs no
// privilege when it is gone, and forwards nothing.
func (d *devices) update(o *Objects) (attached map[int]device, err error) {
	links, err := listLinks(d.handle)
	if err != nil {
		return nil, fmt.Errorf("list the interfaces: %w", err)
	}
	attached, d.state = map[int]device{}, nil
	fit, obstacles, unread := map[int]bool{}, []obstacle.Obstacle(nil), error(nil)
	if d.wanted {
		obstacles, unread = d.readObstacles(links, o.Program)
	}
	for _, c := range judge(links) {
		if c.off == "" && !d.wanted {
			c.off = "no route needs it"
		}
		if c.off == "" {
			fit[c.index] = true
			c.off = obstacle.On(c.name, obstacles)
		}
		if c.off == "" && unread != nil {
			c.off = unread.Error()
		}
		if c.off == "" {
			if err := o.attach(c.index); err != nil {
				c.off = err.Error()
			}
		}
		if c.off == "" {
			attached[c.index] = device{c.name, c.mtu}
		}
		d.state = append(d.state, Device{c.name, c.off})
	}
	return attached, o.detachOthers(fit)
}

// readObstacles does not count the program itself.
func (d *devices) readObstacles(links []netlink.Link, own *ebpf.Program) ([]obstacle.Obstacle, error) {
	id, err := program.IDOf(own)
	if err != nil {
		return nil, err
	}
	changed := d.rulesChanged.Swap(false)
	all, err := d.reader.Read(links, []uint32{uint32(id)}, changed)
	for range 5 { // while a process changes its user, it has no privileges for a moment
		if !errors.Is(err, unix.EPERM) {
			break
		}
		time.Sleep(20 * time.Millisecond)
		all, err = d.reader.Read(links, []uint32{uint32(id)}, changed)
	}
	if err != nil && changed {
		d.rulesChanged.Store(true)
	}
	return all, err
}

// attach attaches the program, unless it is.
func (o *Objects) attach(index int) error {
	if l, ok := o.Links[index]; ok {
		if there, err := o.repair(l); there || err != nil {
			return err
		}
		delete(o.Links, index)
	}
	l, err := link.AttachTCX(link.TCXOptions{Interface: index, Program: o.Program, Attach: ebpf.AttachTCXIngress})
	if errors.Is(err, ebpf.ErrNotSupported) {
		return errors.New("this kernel has no TCX, which Linux 6.6 has")
	}
	if err != nil {
		return fmt.Errorf("attach the program: %w", err)
	}
	o.Links[index] = l
	return nil
}

// repair gives the program back to a link that another build has had meanwhile. It closes one that
// somebody has detached.
func (o *Objects) repair(l link.Link) (there bool, err error) {
	info, err := l.Info()
	if err != nil {
		return false, fmt.Errorf("read about the link of the fast path: %w", err)
	}
	if info.TCX() == nil || info.TCX().Ifindex == 0 {
		return false, l.Close()
	}
	own, err := program.IDOf(o.Program)
	if err != nil || own == info.Program {
		return true, err
	}
	return true, l.Update(o.Program)
}

// detachOthers detaches the program from the devices that are not in keep.
func (o *Objects) detachOthers(keep map[int]bool) error {
	var errs []error
	for index, l := range o.Links {
		if keep[index] {
			continue
		}
		if err := l.Detach(); err != nil && !errors.Is(err, unix.ENOLINK) { // else the device is gone
			errs = append(errs, fmt.Errorf("detach the fast path: %w", err))
		}
		errs = append(errs, l.Close())
		delete(o.Links, index)
	}
	return errors.Join(errs...)
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

// open opens what asks the kernel about the network namespace of this thread.
func (d *devices) open() (err error) {
	if d.netns, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return fmt.Errorf("open this network namespace: %w", err)
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
	if d.netns != nil {
		_ = d.netns.Close()
	}
	d.handle, d.reader, d.netns = nil, nil, nil
}

// within runs do on a thread that is in the namespace: to the kernel an interface index is one of the
// thread's namespace. Only tests have threads in several, and the privilege to move between them.
func (d *devices) within(do func() error) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return fmt.Errorf("open this network namespace: %w", err)
	}
	defer here.Close()
	if same, err := sameFile(here, d.netns); err != nil || same {
		if err != nil {
			return err
		}
		return do()
	}
	if err := unix.Setns(int(d.netns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network namespace: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Setns(int(here.Fd()), unix.CLONE_NEWNET)) }()
	return do()
}

func sameFile(a, b *os.File) (bool, error) {
	x, err := a.Stat()
	if err != nil {
		return false, err
	}
	y, err := b.Stat()
	if err != nil {
		return false, err
	}
	return os.SameFile(x, y), nil
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
	for _, c := range judge(links) {
		all = append(all, Device{c.name, cmp.Or(c.off, obstacle.On(c.name, obstacles))})
	}
	return all, nil
}
