package obstacle

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/steering/host"
)

// readRouting finds routing rules by which datagrams of the same addresses may leave in different ways: the
// fast path asks the kernel for the way between two addresses, once for all.
func (r *Reader) readRouting() (all []Obstacle, err error) {
	for _, of := range []struct {
		family  int
		command string
	}{{unix.AF_INET, "ip"}, {unix.AF_INET6, "ip -6"}} {
		rules, err := host.Dump(func() ([]netlink.Rule, error) { return r.route.RuleList(of.family) })
		if errors.Is(err, unix.EAFNOSUPPORT) || missing(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list the routing rules: %w", err)
		}
		for _, rule := range rules {
			if what := distinguishes(rule); what != "" {
				all = append(all, Obstacle{What: fmt.Sprintf("the routing rule with pref %d selects by %s (%s rule)", rule.Priority, what, of.command)})
			}
		}
	}
	return all, nil
}

// distinguishes says what a rule selects UDP datagrams by, besides addresses, devices and marks; "": nothing.
func distinguishes(r netlink.Rule) string {
	switch {
	case r.IPProto != 0 && r.IPProto != unix.IPPROTO_UDP && !r.Invert:
		return ""
	case r.Sport != nil || r.Dport != nil:
		return "ports"
	case r.IPProto != 0:
		return "protocol"
	case r.Tos != 0:
		return "TOS"
	case r.UIDRange != nil:
		return "user"
	}
	return ""
}
