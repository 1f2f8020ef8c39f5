package ingress

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/steering/host"
)

// Kind is what a filter is for: its name in `tc filter show dev DEVICE ingress`, and its preference among the
// filters of a device. All run before the filter of routes with transparent, and before those that tc gives a
// preference itself.
type Kind struct {
	Name       string
	preference uint16
}

// The kinds in their order. Filters of several anyports stand side by side.
var (
	Forward   = Kind{"anyport_fast", 166}
	TakeAsked = Kind{"anyport_take", 167}
	AskPeers  = Kind{"anyport_ask", 168}

	kinds = []Kind{Forward, TakeAsked, AskPeers}
)

// ownQdisc in the handle of a filter says that an anyport has added the qdisc: all filters of anyports in it
// have it, so that the last one that is removed can take the qdisc along. Below it handles count from 1.
const ownQdisc = 1 << 16

// Filter is one of an anyport.
type Filter struct {
	Device  string
	Kind    Kind
	Program ebpf.ProgramID // the Caller of its hook
	index   int
	handle  uint32
}

// Filters lists those of all anyports in this thread's network namespace.
func Filters() ([]Filter, error) { return filtersBut(nil) }

// filtersBut leaves out those of some devices, by interface index.
func filtersBut(skip map[int]bool) (all []Filter, err error) {
	links, err := host.Dump(netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list the interfaces: %w", err)
	}
	for _, l := range links {
		if l.Attrs().Flags&net.FlagLoopback != 0 || skip[l.Attrs().Index] {
			continue
		}
		found, err := list(l.Attrs().Index)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if own, ok := parse(f); ok {
				own.Device = l.Attrs().Name
				all = append(all, own)
			}
		}
	}
	return all, nil
}

// list has the filters at the ingress of a device; none if it is gone.
func list(index int) ([]netlink.Filter, error) {
	all, err := host.Dump(func() ([]netlink.Filter, error) { return netlink.FilterList(device(index), netlink.HANDLE_MIN_INGRESS) })
	if gone(err) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the filters of tc at the ingress of a device: %w", err)
	}
	return all, nil
}

func device(index int) netlink.Link {
	return &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: index}}
}

// gone reports whether there is no such device or filter.
func gone(err error) bool { return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOENT) }

// parse is not ok for filters of others.
func parse(f netlink.Filter) (Filter, bool) {
	b, ok := f.(*netlink.BpfFilter)
	if !ok {
		return Filter{}, false
	}
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == b.Name && k.preference == b.Priority })
	if i < 0 {
		return Filter{}, false
	}
	return Filter{Kind: kinds[i], Program: ebpf.ProgramID(b.Id), index: b.LinkIndex, handle: b.Handle}, true
}

// IsOurs reports whether some anyport has added a filter: to carry what it serves, or the way back for
// transparent.
func IsOurs(f netlink.Filter) bool {
	b, ok := f.(*netlink.BpfFilter)
	if ok && b.Name == host.FilterName {
		return true
	}
	_, ok = parse(f)
	return ok
}

// attach adds the filter that runs a program to a device, unless it is there.
func (k Kind) attach(index int, caller *ebpf.Program) error {
	info, err := caller.Info()
	if err != nil {
		return fmt.Errorf("read about the program that filters run: %w", err)
	}
	id, _ := info.ID()
	for range 3 { // another anyport may take the same handle at the same time
		all, listErr := list(index)
		if listErr != nil {
			return listErr
		}
		if slices.ContainsFunc(all, func(f netlink.Filter) bool { own, ok := parse(f); return ok && own.Kind == k && own.Program == id }) {
			return nil
		}
		if err = k.add(index, caller, all); !errors.Is(err, unix.EEXIST) {
			break
		}
	}
	return err
}

// add adds a filter beside all that there are, and the qdisc if there is none.
func (k Kind) add(index int, caller *ebpf.Program, all []netlink.Filter) error {
	handle, err := k.freeHandle(all)
	if err != nil {
		return err
	}
	added, err := addQdisc(index)
	if err != nil {
		return err
	}
	if added || slices.ContainsFunc(all, endsWithQdisc) {
		handle |= ownQdisc
	}
	f := k.filter(index, handle)
	f.Fd = caller.FD()
	if err := netlink.FilterAdd(f); err != nil {
		err = fmt.Errorf("add a filter of tc: %w", err)
		if added {
			err = errors.Join(err, removeEmptyQdisc(index))
		}
		return err
	}
	return nil
}

// freeHandle is the first that no filter of the kind has. A filter of others in its place is left alone.
func (k Kind) freeHandle(all []netlink.Filter) (uint32, error) {
	taken := map[uint32]bool{}
	for _, f := range all {
		if f.Attrs().Priority != k.preference {
			continue
		}
		own, ok := parse(f)
		if !ok {
			return 0, fmt.Errorf("another filter of tc (%s) has the preference %d, which is that of %s", f.Type(), k.preference, k.Name)
		}
		taken[own.handle&^ownQdisc] = true
	}
	handle := uint32(1)
	for taken[handle] {
		handle++
	}
	return handle, nil
}

// endsWithQdisc reports whether who removes f removes the qdisc as well when it is empty.
func endsWithQdisc(f netlink.Filter) bool {
	own, ok := parse(f)
	return ok && own.handle&ownQdisc != 0 || !ok && IsOurs(f)
}

func (k Kind) filter(index int, handle uint32) *netlink.BpfFilter {
	return &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: index, Parent: netlink.HANDLE_MIN_INGRESS, Priority: k.preference, Handle: handle, Protocol: unix.ETH_P_ALL,
		},
		Name: k.Name, DirectAction: true,
	}
}

// Remove removes the filter, and the qdisc if an anyport has added it and nothing else is in it.
func (f Filter) Remove() error {
	err := netlink.FilterDel(f.Kind.filter(f.index, f.handle))
	if gone(err) || errors.Is(err, unix.EINVAL) { // EINVAL: so is the qdisc
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove the filter %s of tc from the ingress of %s: %w", f.Kind.Name, f.Device, err)
	}
	if f.handle&ownQdisc == 0 {
		return nil
	}
	return removeEmptyQdisc(f.index)
}

// String is what the filter is called in messages.
func (f Filter) String() string {
	return fmt.Sprintf("filter %s at the ingress of %s (tc)", f.Kind.Name, cmp.Or(f.Device, "a device"))
}

// Idle reports whether the filter does nothing, because its process has ended. To look needs CAP_SYS_ADMIN.
func (f Filter) Idle() (bool, error) {
	p, err := ebpf.NewProgramFromID(f.Program)
	if err != nil {
		return false, err
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return false, err
	}
	maps, _ := info.MapIDs()
	if len(maps) != 1 {
		return false, errors.New("the filter runs another program than those of anyport")
	}
	slot, err := ebpf.NewMapFromID(maps[0])
	if err != nil {
		return false, err
	}
	defer slot.Close()
	var id uint32
	err = slot.Lookup(uint32(0), &id)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return true, nil
	}
	return false, err
}
