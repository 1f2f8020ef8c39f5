package host

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/bpf/mark"
)

// The numbers of the way back from origins to the sockets of routes with transparent. The
// protocol number of rules and routes is [RouteProtocol].
const (
	// ReturnPriority puts the rule behind the one for the local table (0) and before those of VPNs
	// and VRFs (1000 and more).
	ReturnPriority = 169
	// ReturnTable has one route a family: everything is local.
	ReturnTable = 43433
)

// ReturnPath is the way back for what origins send to the address of a client: a filter on each
// interface marks the packets that a socket of anyport takes (mark_returning in package bpf), a
// routing rule for the mark looks up a table of its own, and there everything is local. Nothing of
// it belongs to one process: another anyport in this namespace uses the same.
//
// It belongs to a Steering, whose mutex guards it.
type ReturnPath struct {
	handle *netlink.Handle
	lo     int // interface index
}

// OpenReturnPath opens it for the network namespace of this thread.
func OpenReturnPath() (*ReturnPath, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	lo, err := handle.LinkByName("lo")
	if err != nil {
		handle.Close()
		return nil, fmt.Errorf("find the interface lo: %w", err)
	}
	return &ReturnPath{handle, lo.Attrs().Index}, nil
}

// Close closes the netlink socket, and removes nothing.
func (p *ReturnPath) Close() {
	if p != nil {
		p.handle.Close()
	}
}

// Part is one thing in the kernel that belongs to the way back.
type Part struct {
	Name   string // as `ip` and `tc` name it
	There  bool
	add    func() error
	remove func() error

	replaces bool // to add it replaces what is there
}

// Remove removes the part.
func (p Part) Remove() error { return p.remove() }

// Parts lists all parts that there should be, and whether they are there. program is the descriptor
// of mark_returning; a negative one is for those who only look or remove. The order is that in
// which they are added: a packet is marked only when there is a way for it.
func (p *ReturnPath) Parts(program int) (all []Part, err error) {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		route, err := p.routePart(family)
		if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) { // a kernel without IPv6
			continue
		}
		rule, ruleErr := p.rulePart(family)
		if err = errors.Join(err, ruleErr); err != nil {
			return nil, err
		}
		all = append(all, route, rule)
	}
	filters, err := p.filterParts(program)
	return append(all, filters...), err
}

// Install adds the parts that are missing, and returns their names. What it cannot add does not keep
// it from adding the others.
func (p *ReturnPath) Install(program int) (added []string, err error) {
	parts, err := p.Parts(program)
	if err != nil {
		return nil, err
	}
	return install(parts, func(part Part) bool { return !part.There })
}

// install adds those of parts that are due.
func install(parts []Part, due func(Part) bool) (added []string, err error) {
	var errs []error
	for _, part := range parts {
		if !due(part) {
			continue
		}
		err := part.add()
		if errors.Is(err, unix.EACCES) { // IPv6 is switched off on lo, so this host has no conns over it
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("add the %s: %w", part.Name, err))
			continue
		}
		added = append(added, part.Name)
	}
	return added, errors.Join(errs...)
}

// Refresh is Install that also gives interfaces this program in place of the one of another process.
func (p *ReturnPath) Refresh(program int) (added []string, err error) {
	parts, err := p.Parts(program)
	if err != nil {
		return nil, err
	}
	return install(parts, func(part Part) bool { return !part.There || part.replaces })
}

// Uninstall removes the parts that are there, the filters first, and returns their names.
func (p *ReturnPath) Uninstall() (removed []string, err error) {
	parts, err := p.Parts(-1)
	errs := []error{err}
	for i := len(parts) - 1; i >= 0; i-- {
		if !parts[i].There {
			continue
		}
		if err := parts[i].Remove(); err != nil {
			errs = append(errs, fmt.Errorf("remove the %s: %w", parts[i].Name, err))
			continue
		}
		removed = append(removed, parts[i].Name)
	}
	return removed, errors.Join(errs...)
}

// command is the `ip` of a family.
func command(family int) string {
	if family == unix.AF_INET6 {
		return "ip -6"
	}
	return "ip"
}

// routePart is the only route of the table.
func (p *ReturnPath) routePart(family int) (Part, error) {
	everything := &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}
	if family == unix.AF_INET6 {
		everything = &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
	}
	route := &netlink.Route{
		Family: family, LinkIndex: p.lo, Dst: everything, Table: ReturnTable,
		Type: unix.RTN_LOCAL, Scope: unix.RT_SCOPE_HOST, Protocol: RouteProtocol,
	}
	there, err := Dump(func() ([]netlink.Route, error) {
		return p.handle.RouteListFiltered(family, &netlink.Route{Table: ReturnTable}, netlink.RT_FILTER_TABLE)
	})
	return Part{
		Name:   fmt.Sprintf("route local default dev lo table %d (%s)", ReturnTable, command(family)),
		There:  len(there) > 0,
		add:    func() error { return p.handle.RouteReplace(route) },
		remove: func() error { return p.handle.RouteDel(route) },
	}, err
}

// rulePart is the rule of a family that has marked packets look into the table.
func (p *ReturnPath) rulePart(family int) (Part, error) {
	rule := netlink.NewRule()
	rule.Family, rule.Priority, rule.Mark, rule.Table, rule.Protocol = family, ReturnPriority, mark.Packet, ReturnTable, RouteProtocol
	rules, err := Dump(func() ([]netlink.Rule, error) { return p.handle.RuleList(family) })
	there := false
	for _, r := range rules {
		there = there || r.Priority == rule.Priority && r.Mark == rule.Mark && r.Table == rule.Table && !r.Invert && r.IifName == "" && r.Src == nil && r.Dst == nil
	}
	return Part{
		Name:   fmt.Sprintf("rule pref %d fwmark %#x lookup %d (%s)", ReturnPriority, mark.Packet, ReturnTable, command(family)),
		There:  there,
		add:    func() error { return p.handle.RuleAdd(rule) },
		remove: func() error { return p.handle.RuleDel(rule) },
	}, err
}
