package doctor

import (
	"context"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// readMarkRules reads the policy rules of marks that lead to a table in which all routes make everything local: what the
// guides to TPROXY have.
func readMarkRules(_ context.Context, f *Facts) error {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		rules, err := netlink.RuleList(family)
		if err != nil {
			return fmt.Errorf("list the policy rules: %w", err)
		}
		for _, r := range rules {
			if r.Mark == 0 || r.Table == unix.RT_TABLE_LOCAL || r.Table == unix.RT_TABLE_MAIN {
				continue
			}
			routes, all, err := localDefaults(family, r.Table)
			if err != nil {
				return err
			}
			if all {
				f.MarkRules = append(f.MarkRules, MarkRule{Family: familyFlag(family), Mark: markText(r), Table: r.Table, Routes: routes})
			}
		}
	}
	return nil
}

func familyFlag(family int) string {
	if family == netlink.FAMILY_V6 {
		return "-6"
	}
	return "-4"
}

func markText(r netlink.Rule) string {
	if r.Mask == nil || *r.Mask == 0xffffffff {
		return fmt.Sprintf("%#x", r.Mark)
	}
	return fmt.Sprintf("%#x/%#x", r.Mark, *r.Mask)
}

// localDefaults returns the routes of a table as ip prints them, and whether all of them make everything local; true also
// for an empty table.
func localDefaults(family, table int) (routes []string, all bool, err error) {
	found, err := netlink.RouteListFiltered(family, &netlink.Route{Table: table}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, false, fmt.Errorf("list routing table %d: %w", table, err)
	}
	for _, r := range found {
		everything := r.Dst == nil
		if r.Dst != nil {
			bits, _ := r.Dst.Mask.Size()
			everything = bits == 0
		}
		if r.Type != unix.RTN_LOCAL || !everything {
			return nil, false, nil
		}
		device := "lo"
		if link, err := net.InterfaceByIndex(r.LinkIndex); err == nil {
			device = link.Name
		}
		routes = append(routes, "local default dev "+device)
	}
	return routes, true, nil
}
