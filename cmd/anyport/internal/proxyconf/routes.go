package proxyconf

import (
	"fmt"
	"net/netip"
	"slices"

	"anyport/config"
	"anyport/config/habits"
)

// route is what a service, or a part of it, becomes.
type route struct {
	service     *Service
	protocols   []config.Protocol
	prefixes    []netip.Prefix
	ports       []config.PortRange
	acceptProxy []netip.Prefix
	forwarding  *Forwarding
	name        string
	origins     []Origin // those of forwarding that fit
}

// routes are the routes of one service: as few as have the same prefixes and ports in common.
func (s *Service) routes(o Options) []*route {
	var all []*route
	for _, group := range s.groups() {
		regions := o.regions(group)
		for _, choice := range s.Choices {
			var taken []box
			for i := range regions {
				taken = append(taken, regions[i].take(choice)...)
			}
			for _, b := range byPorts(taken, choice.Forwarding.shifts()) {
				all = append(all, &route{
					service: s, protocols: []config.Protocol{group[0].Protocol},
					prefixes: b.prefixes, ports: b.ports, acceptProxy: group[0].AcceptProxy, forwarding: choice.Forwarding, name: s.nameOf(choice), origins: choice.Forwarding.Origins,
				})
			}
		}
	}
	return bothProtocols(all)
}

// nameOf is a wish for the name of a choice's route.
func (s *Service) nameOf(c Choice) string {
	if c.Name == "" {
		return s.Name
	}
	return s.Name + "-" + c.Name
}

// groups are the listens that can share routes.
func (s *Service) groups() [][]Listen {
	var groups [][]Listen
	for _, l := range s.Listens {
		like := slices.IndexFunc(groups, func(g []Listen) bool {
			return g[0].Protocol == l.Protocol && slices.Equal(g[0].AcceptProxy, l.AcceptProxy)
		})
		if like < 0 {
			groups = append(groups, nil)
			like = len(groups) - 1
		}
		groups[like] = append(groups[like], l)
	}
	return groups
}

// regions are what listens take, one for each prefix.
func (o Options) regions(listens []Listen) []region {
	var all []region
	for _, l := range listens {
		prefixes, _ := o.Served(l)
		for _, p := range prefixes {
			i := slices.IndexFunc(all, func(r region) bool { return r.prefix == p })
			if i < 0 {
				all = append(all, region{box: box{prefix: p}})
				i = len(all) - 1
			}
			all[i].ports = joined(append(all[i].ports, l.Ports))
		}
		if len(prefixes) > 0 {
			l.Line.Became("prefixes", "ports")
		}
	}
	return all
}

// block is the dsts of one route.
type block struct {
	prefixes []netip.Prefix
	ports    []config.PortRange
}

// byPorts joins the prefixes that have the same ports. An origin whose port is shifted needs a route
// for each range.
func byPorts(boxes []box, apart bool) []block {
	ports := map[netip.Prefix][]config.PortRange{}
	var order []netip.Prefix
	for _, b := range boxes {
		if ports[b.prefix] == nil {
			order = append(order, b.prefix)
		}
		ports[b.prefix] = joined(append(ports[b.prefix], b.ports...))
	}
	var blocks []block
	add := func(p netip.Prefix, ranges []config.PortRange) {
		i := slices.IndexFunc(blocks, func(b block) bool { return slices.Equal(b.ports, ranges) })
		if i < 0 {
			blocks = append(blocks, block{ports: ranges})
			i = len(blocks) - 1
		}
		blocks[i].prefixes = append(blocks[i].prefixes, p)
	}
	for _, p := range order {
		if !apart {
			add(p, ports[p])
			continue
		}
		for _, r := range ports[p] {
			add(p, []config.PortRange{r})
		}
	}
	return blocks
}

// shifts reports whether an origin has the client's port plus a number.
func (f *Forwarding) shifts() bool {
	return slices.ContainsFunc(f.Origins, func(o Origin) bool { return o.Shift != 0 })
}

// bothProtocols makes one route of two that differ only in their protocol, unless a key is only for
// one of them.
func bothProtocols(routes []*route) []*route {
	var out []*route
	for _, r := range routes {
		twin := slices.IndexFunc(out, func(o *route) bool {
			return o.forwarding == r.forwarding && !o.forwarding.differs() && slices.Equal(o.ports, r.ports) &&
				slices.Equal(o.prefixes, r.prefixes) && slices.Equal(o.acceptProxy, r.acceptProxy)
		})
		if twin >= 0 {
			out[twin].protocols = append(out[twin].protocols, r.protocols...)
			continue
		}
		out = append(out, r)
	}
	return out
}

// differs reports whether the two protocols need routes of their own. Most keys that are for one
// protocol mean nothing to the other.
func (f *Forwarding) differs() bool {
	return slices.ContainsFunc(f.Keys, func(k Key) bool { return k.Protocol != 0 && k.Key == "proxy_protocol" })
}

// freeName is a valid name of a route that none has.
func freeName(wish string, taken map[string]bool) string {
	base := habits.Slug(wish)
	if base == "" {
		base = "imported"
	}
	base = base[:min(len(base), 58)]
	name := base
	for i := 2; taken[name]; i++ {
		name = fmt.Sprintf("%s-%d", base, i)
	}
	taken[name] = true
	return name
}
