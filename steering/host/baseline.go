package host

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/steering/table"
)

// kernelState is what the kernel has at one moment of what the steering needs and other programs
// can remove.
type kernelState struct {
	local      *bart.Lite      // prefixes of type local
	conditions map[string]bool // whether there, by what to say when it is not
}

// readState asks the kernel.
func (l *LocalRoutes) readState(sources []originSource) (g kernelState, err error) {
	g = kernelState{new(bart.Lite), map[string]bool{}}
	if err := l.List(func(r LocalRoute) { g.local.Insert(r.Prefix) }); err != nil {
		return g, err
	}
	lo, err := l.handle.LinkByIndex(l.lo)
	if err != nil {
		return g, fmt.Errorf("read about the interface lo: %w", err)
	}
	g.conditions["the interface lo is down: ip link set lo up"] = lo.Attrs().Flags&unix.IFF_UP != 0
	for family, command := range map[int]string{unix.AF_INET: "ip", unix.AF_INET6: "ip -6"} {
		rules, err := l.handle.RuleList(family)
		if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
			continue
		}
		if err != nil {
			return g, fmt.Errorf("list the routing rules: %w", err)
		}
		what := fmt.Sprintf("no routing rule looks up the local table: %s rule add pref 0 lookup local", command)
		g.conditions[what] = slices.ContainsFunc(rules, forEverybody)
	}
	for _, s := range sources {
		there := g.local.LookupPrefix(netip.PrefixFrom(s.addr, s.addr.BitLen()))
		g.conditions[fmt.Sprintf("%s, a source of route %q, is not an address of this host", s.addr, s.route)] = there
	}
	return g, nil
}

// forEverybody reports whether a rule has all packets look into the local table.
func forEverybody(r netlink.Rule) bool {
	return r.Table == unix.RT_TABLE_LOCAL && r.Src == nil && r.Dst == nil && r.IifName == "" && r.OifName == "" && r.Mark == 0 && !r.Invert
}

// originSource is an address that origins are dialled from.
type originSource struct {
	addr  netip.Addr
	route string
}

// sourcesOf lists the addresses of `source` of all routes: if one is not local, dials fail.
func sourcesOf(cfg *config.Config) (all []originSource) {
	for _, r := range cfg.Routes {
		for _, a := range r.Source {
			all = append(all, originSource{a, r.Name})
		}
	}
	return all
}

// baseline is what has been there since a table came into service. Only what was there once can
// be lost: a host may have its own ways to deliver a prefix, without a local route.
type baseline struct {
	served     *bart.Lite // prefixes of the table that lie in no other
	sources    []originSource
	local      bart.Lite // those of served that were local
	conditions map[string]bool
}

// newBaseline begins with nothing that was there: the first comparison fills it.
func newBaseline(cfg *config.Config, table *table.Table) *baseline {
	return &baseline{served: table.Outermost(new(bart.Lite)), sources: sourcesOf(cfg), conditions: map[string]bool{}}
}

// continueFrom takes over what was there under the table before, so that what is missing at the
// moment of a reload still counts as lost.
func (f *baseline) continueFrom(before *baseline) {
	if before == nil {
		return
	}
	f.conditions = before.conditions
	for p := range before.local.All() {
		if f.served.Get(p) {
			f.local.Insert(p)
		}
	}
}

// compare compares g with what was there. Of the routes that are ours it returns those that are
// missing; of the prefixes that others keep local, those that are not local any more.
func (f *baseline) compare(g kernelState, mine *bart.Lite) (ours, theirs []netip.Prefix, others []string) {
	for p := range mine.AllSorted() {
		if !g.local.Get(p) {
			ours = append(ours, p)
		}
	}
	for p := range f.served.AllSorted() {
		switch {
		case g.local.LookupPrefix(p):
			f.local.Insert(p)
		case f.local.Get(p) && !mine.LookupPrefix(p):
			theirs = append(theirs, p)
		}
	}
	for what, there := range g.conditions {
		if there {
			f.conditions[what] = true
		} else if f.conditions[what] {
			others = append(others, what)
		}
	}
	slices.Sort(others)
	return ours, theirs, others
}

// dependsOn reports whether a route of the local table is one that f needs.
func (f *baseline) dependsOn(p netip.Prefix) bool {
	return f.served.OverlapsPrefix(p) ||
		slices.ContainsFunc(f.sources, func(s originSource) bool { return p.Contains(s.addr) })
}
