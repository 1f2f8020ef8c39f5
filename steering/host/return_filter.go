package host

import (
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The filter is one of tc at the ingress of an interface, in a clsact qdisc (Linux 4.5), which all
// supported kernels have. It survives its process. That is harmless: it marks a packet only if a
// socket with the mark takes it.

// FilterName is what `tc filter show dev DEVICE ingress` has.
const FilterName = "anyport_returning"

// filterPlace is its preference among the filters of an interface, and its handle there.
const filterPlace, filterHandle = 169, 1

// filterParts are the filters of all interfaces that packets from the network arrive at.
func (p *ReturnPath) filterParts(program int) (all []Part, err error) {
	links, err := Dump(p.handle.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list the interfaces: %w", err)
	}
	for _, l := range links {
		if !receives(l, links) {
			continue
		}
		there, err := p.hasFilter(l)
		if errors.Is(err, unix.ENODEV) { // it has gone meanwhile
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list the filters of %s: %w", l.Attrs().Name, err)
		}
		all = append(all, Part{
			Name:   fmt.Sprintf("filter %s at the ingress of %s (tc)", FilterName, l.Attrs().Name),
			There:  there,
			add:    func() error { return p.addFilter(l, program) },
			remove: func() error { return p.removeFilter(l) },

			replaces: program >= 0,
		})
	}
	return all, nil
}

// receives reports whether packets for this host arrive at l itself. Those of a bridge's or bond's
// member go through the ingress of the bridge or bond as well; those of a VRF's member do not.
func receives(l netlink.Link, all []netlink.Link) bool {
	a := l.Attrs()
	if a.Flags&net.FlagLoopback != 0 || IsTUN(l) {
		return false
	}
	if a.MasterIndex == 0 {
		return true
	}
	master := slices.IndexFunc(all, func(m netlink.Link) bool { return m.Attrs().Index == a.MasterIndex })
	return master < 0 || all[master].Type() == "vrf"
}

// IsTUN reports whether l is the device of the local routes, or of the announced ones, of some anyport: no packet
// arrives there.
func IsTUN(l netlink.Link) bool {
	return l.Type() == "tuntap" && deviceName.MatchString(l.Attrs().Name) || IsRouteDevice(l)
}

func (p *ReturnPath) hasFilter(l netlink.Link) (bool, error) {
	filters, err := Dump(func() ([]netlink.Filter, error) { return p.handle.FilterList(l, netlink.HANDLE_MIN_INGRESS) })
	return slices.ContainsFunc(filters, func(f netlink.Filter) bool {
		b, ok := f.(*netlink.BpfFilter)
		return ok && b.Name == FilterName
	}), err
}

// filter is the filter of an interface.
func filter(l netlink.Link, program int) *netlink.BpfFilter {
	return &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: l.Attrs().Index, Parent: netlink.HANDLE_MIN_INGRESS,
			Priority: filterPlace, Handle: filterHandle, Protocol: unix.ETH_P_ALL,
		},
		Fd: program, Name: FilterName, DirectAction: true,
	}
}

func clsact(l netlink.Link) *netlink.GenericQdisc {
	return &netlink.GenericQdisc{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT},
		QdiscType:  "clsact",
	}
}

// addFilter also replaces the filter of another process. A qdisc that is there, clsact or ingress, will
// do.
func (p *ReturnPath) addFilter(l netlink.Link, program int) error {
	if err := p.handle.QdiscAdd(clsact(l)); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add the qdisc clsact: %w", err)
	}
	return p.handle.FilterReplace(filter(l, program))
}

// removeFilter leaves no empty qdisc, nor does it take one from the filters of other programs.
func (p *ReturnPath) removeFilter(l netlink.Link) error {
	if err := p.handle.FilterDel(filter(l, -1)); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	for _, parent := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
		if left, err := p.handle.FilterList(l, parent); err != nil || len(left) > 0 {
			return err
		}
	}
	if err := p.handle.QdiscDel(clsact(l)); err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("remove the empty qdisc clsact: %w", err)
	}
	return nil
}
