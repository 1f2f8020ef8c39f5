package origin

import (
	"net/netip"
	"slices"

	"anyport/config"
	"anyport/proxy/health"
)

// Member is one server that takes a share of a route: an origin of the file, or what an address of a
// DNS name makes of one.
type Member struct {
	Ways []config.Origin // one; or the IPv4 and the IPv6 address of one server, in this order
}

// Literals are the members for origins that are given by an address. Names are left out.
func Literals(origins []config.Origin) []Member {
	var all []Member
	for _, o := range origins {
		if o.Host == "" {
			all = append(all, Member{[]config.Origin{o}})
		}
	}
	return all
}

// Resolved makes members of the addresses of one server or more that o, a DNS name, stands for. The
// first IPv4 address is paired with the first IPv6 address, and so on: which of several servers has
// which two, DNS does not say.
func Resolved(o config.Origin, addrs []netip.Addr) []Member {
	var four, six []config.Origin
	for _, addr := range addrs {
		way := o
		way.Addr = addr
		way.Text = textOf(way)
		if addr.Is4() {
			four = append(four, way)
		} else {
			six = append(six, way)
		}
	}
	members := make([]Member, max(len(four), len(six)))
	for _, family := range [][]config.Origin{four, six} {
		for i, way := range family {
			members[i].Ways = append(members[i].Ways, way)
		}
	}
	return members
}

// textOf is how a file would write an origin by its address.
func textOf(o config.Origin) string {
	text := o.Addr.String()
	if o.Ports.First == 0 {
		return text
	}
	if o.Addr.Is6() {
		text = "[" + text + "]"
	}
	return text + ":" + o.Ports.String()
}

// Distinct leaves out ways that an earlier member has. Members that the file gives by address come
// first: so an address of a name can be given another weight.
func Distinct(members []Member) []Member {
	seen := map[string]bool{}
	for _, named := range []bool{false, true} {
		for i, m := range members {
			if (m.Ways[0].Host != "") != named {
				continue
			}
			members[i].Ways = slices.DeleteFunc(slices.Clone(m.Ways), func(o config.Origin) bool {
				text := textOf(o)
				twice := named && seen[text]
				seen[text] = true
				return twice
			})
		}
	}
	return slices.DeleteFunc(members, func(m Member) bool { return len(m.Ways) == 0 })
}

// add adds the origins of m, with the counts that one of the known pools has for them. It returns the
// first of its ways, which stands for both where an origin is chosen.
func (p *Pool) add(m Member, known []*Pool) *Origin {
	first := len(p.Origins)
	for _, way := range m.Ways {
		o := &Origin{Origin: way, counts: countsOf(way.Text, known), queues: p.queues}
		o.SetWeight(way.Weight)
		p.Origins = append(p.Origins, o)
	}
	if ways := p.Origins[first:]; len(ways) == 2 {
		ways[0].other, ways[1].other = ways[1], ways[0]
	}
	return p.Origins[first]
}

// keepVanished adds the origins of old whose name the route still has without that address, if they still
// have conns, or the operator has forced a state on them: DNS servers that answer with some of many
// addresses at a time must not end the order.
func (p *Pool) keepVanished(r *config.Route, old *Pool) {
	if old == nil {
		return
	}
	named := map[string]bool{}
	for _, o := range r.Origins {
		named[o.Host] = true
	}
	delete(named, "")
	for _, o := range old.Origins {
		forced := o.State().Forced != health.ByHealth
		if !named[o.Host] || o.Active() == 0 && !forced || slices.ContainsFunc(p.Origins, func(other *Origin) bool { return other.Text == o.Text }) {
			continue
		}
		gone := &Origin{Origin: o.Origin, counts: o.counts, queues: p.queues, vanished: true}
		gone.Weight = 0 // and so is its current one
		p.Origins = append(p.Origins, gone)
	}
}

// Vanished reports whether o's name no longer has its address: o only ends the conns that it has.
func (o *Origin) Vanished() bool { return o.vanished }

// KeepWeights goes on with the weights that an operator has set in old, until the next reload.
func (p *Pool) KeepWeights(old *Pool) {
	for _, o := range p.Origins {
		for _, before := range old.Origins {
			if o.Text == before.Text && !o.vanished && !before.vanished && before.CurrentWeight() != before.Weight {
				o.SetWeight(before.CurrentWeight())
			}
		}
	}
}
