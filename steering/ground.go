package steering

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"anyport/config"

	"github.com/gaissmai/bart"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ground is what the kernel has of what the steering stands on and does not own alone: other
// programs can remove it.
type ground struct {
	local  *bart.Lite      // prefixes of type local
	others map[string]bool // whether there, by what to say when it is not
}

// readGround asks the kernel.
func (l *localRoutes) readGround(sources []source) (g ground, err error) {
	g = ground{new(bart.Lite), map[string]bool{}}
	if err := l.list(func(r localRoute) { g.local.Insert(r.prefix) }); err != nil {
		return g, err
	}
	lo, err := l.handle.LinkByIndex(l.lo)
	if err != nil {
		return g, fmt.Errorf("read about the interface lo: %w", err)
	}
	g.others["the interface lo is down: ip link set lo up"] = lo.Attrs().Flags&unix.IFF_UP != 0
	for family, command := range map[int]string{unix.AF_INET: "ip", unix.AF_INET6: "ip -6"} {
		rules, err := l.handle.RuleList(family)
		if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
			continue
		}
		if err != nil {
			return g, fmt.Errorf("list the routing rules: %w", err)
		}
		what := fmt.Sprintf("no routing rule looks up the local table: %s rule add pref 0 lookup local", command)
		g.others[what] = slices.ContainsFunc(rules, forEverybody)
	}
	for _, s := range sources {
		there := g.local.LookupPrefix(netip.PrefixFrom(s.addr, s.addr.BitLen()))
		g.others[fmt.Sprintf("%s, a source of route %q, is not an address of this host", s.addr, s.route)] = there
	}
	return g, nil
}

// forEverybody reports whether a rule has all packets look into the local table.
func forEverybody(r netlink.Rule) bool {
	return r.Table == unix.RT_TABLE_LOCAL && r.Src == nil && r.Dst == nil && r.IifName == "" && r.OifName == "" && r.Mark == 0 && !r.Invert
}

// source is an address that origins are dialled from.
type source struct {
	addr  netip.Addr
	route string
}

func sourcesOf(cfg *config.Config) (all []source) {
	for _, r := range cfg.Routes {
		for _, a := range r.Source {
			all = append(all, source{a, r.Name})
		}
	}
	return all
}

// footing is what was there while a table is in service, so that its loss can be told from
// what never was: a host may have its own ways to deliver a prefix.
type footing struct {
	served  *bart.Lite // prefixes of the table that lie in no other
	sources []source
	local   bart.Lite // those of served that were local
	others  map[string]bool
}

func newFooting(cfg *config.Config, table *Table) *footing {
	return &footing{served: table.outermost(new(bart.Lite)), sources: sourcesOf(cfg), others: map[string]bool{}}
}

// inherit takes over what was there under the table before: what is missing meanwhile is still
// missed.
func (f *footing) inherit(before *footing) {
	if before == nil {
		return
	}
	f.others = before.others
	for p := range before.local.All() {
		if f.served.Get(p) {
			f.local.Insert(p)
		}
	}
}

// lost compares g with what was there. Of the routes that are ours it returns those that are
// missing; of the prefixes that others keep local, those that they keep no more.
func (f *footing) lost(g ground, mine *bart.Lite) (ours, theirs []netip.Prefix, others []string) {
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
	for what, there := range g.others {
		if there {
			f.others[what] = true
		} else if f.others[what] {
			others = append(others, what)
		}
	}
	slices.Sort(others)
	return ours, theirs, others
}

// concerns reports whether a route of the local table is one that f stands on.
func (f *footing) concerns(p netip.Prefix) bool {
	return f.served.OverlapsPrefix(p) ||
		slices.ContainsFunc(f.sources, func(s source) bool { return p.Contains(s.addr) })
}

// quarrel keeps us from putting things back as fast as another program removes them.
type quarrel struct{ times []time.Time } // when something was put back, in the last quarrelTime

const (
	quarrelTime  = time.Minute
	quarrelMost  = 5                // in quarrelTime without a pause
	quarrelPause = 10 * time.Second // from then on
)

// allows reports whether something may be put back now.
func (q *quarrel) allows(now time.Time) bool {
	q.times = slices.DeleteFunc(q.times, func(t time.Time) bool { return now.Sub(t) >= quarrelTime })
	return len(q.times) < quarrelMost || now.Sub(q.times[len(q.times)-1]) >= quarrelPause
}

// note has been allowed, and reports whether this is where the pauses begin.
func (q *quarrel) note(now time.Time) (begins bool) {
	q.times = append(q.times, now)
	return len(q.times) == quarrelMost
}

// suspects are routes of ours that may be missing, and by whom they were removed, as far as it
// is known.
type suspects map[netip.Prefix]uint32

func (s suspects) first() []netip.Prefix {
	all := slices.SortedFunc(maps.Keys(s), netip.Prefix.Compare)
	return all[:min(len(all), mostNamed)]
}

// mostNamed is how many of many a line of the log names.
const mostNamed = 5
