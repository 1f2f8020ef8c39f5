package shadow

import (
	"cmp"
	"net/netip"
	"slices"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
	"anyport/steering/table"
)

// mostPlaces bounds how many (prefix, port) are told apart; the others are one.
const mostPlaces = 1 << 14

// topPlaces is how many a report names of each difference.
const topPlaces = 5

// outcome is one combination of what happens today and what anyport would do, for one route.
type outcome struct {
	route   string // "": no route takes it
	today   Today
	anyport table.Verdict
}

// place is where clients knock: a prefix as the route has it, and a port. The zero place stands for all
// beyond mostPlaces.
type place struct {
	prefix   netip.Prefix
	protocol config.Protocol
	port     uint16
}

// counts are the result. They hold no addresses of clients.
type counts struct {
	routes   []string                            // of the file, in its order
	would    map[string]map[table.Verdict]uint64 // route → verdict → first packets
	outcomes map[outcome]map[place]uint64
	places   int
}

func newCounts(routes []*config.Route) *counts {
	c := &counts{would: map[string]map[table.Verdict]uint64{}, outcomes: map[outcome]map[place]uint64{}}
	for _, r := range routes {
		c.routes = append(c.routes, r.Name)
	}
	c.routes = append(c.routes, "")
	return c
}

// seen counts the first packet of a conn or flow.
func (c *counts) seen(d table.Decision) {
	name := routeOf(d)
	if c.would[name] == nil {
		c.would[name] = map[table.Verdict]uint64{}
	}
	c.would[name][d.Verdict]++
}

// judged counts what became of it.
func (c *counts) judged(id tuple, d table.Decision, today Today) {
	o := outcome{routeOf(d), today, d.Verdict}
	if c.outcomes[o] == nil {
		c.outcomes[o] = map[place]uint64{}
	}
	at := place{d.Prefix, id.protocol, id.dst.Port()}
	if _, known := c.outcomes[o][at]; !known {
		if c.places == mostPlaces {
			at = place{}
		} else {
			c.places++
		}
	}
	c.outcomes[o][at]++
}

func routeOf(d table.Decision) string {
	if d.Route == nil {
		return ""
	}
	return d.Route.Name
}

// meanings are the differences that matter: what a client, or somebody behind this host, would notice. All
// other combinations are what happens today, or one silence in place of another.
var meanings = []struct {
	today   Today
	anyport []table.Verdict
	text    string
}{
	{ByProxy, []table.Verdict{table.Refuse, table.Drop, table.Deny, table.Inactive}, "the proxy takes it, anyport would not"},
	{ByProxy, []table.Verdict{table.Pass}, "the proxy takes it, anyport would leave it to this host's listeners"},
	{BySocket, []table.Verdict{table.Refuse, table.Drop, table.Deny, table.Inactive}, "a socket of this host takes it, anyport would not let it"},
	{BySocket, []table.Verdict{table.Pass}, "a socket of this host takes it: the proxy's, or a listener that anyport would leave it to"},
	{ByHost, []table.Verdict{table.Steer}, "a listener of this host takes it, anyport would"},
	{ByHost, []table.Verdict{table.Refuse, table.Drop, table.Deny, table.Inactive}, "a listener of this host takes it, anyport would not let it"},
	{Elsewhere, []table.Verdict{table.Steer, table.Refuse, table.Drop, table.Deny, table.Inactive, table.Pass}, "another host takes it through this one, anyport would end that"},
	{Refused, []table.Verdict{table.Steer}, "it is refused, anyport would take it"},
	{Silent, []table.Verdict{table.Steer}, "nothing answers, anyport would take it"},
}

// meaning is "" for what is no difference.
func (o outcome) meaning() string {
	for _, m := range meanings {
		if m.today == o.today && slices.Contains(m.anyport, o.anyport) {
			return m.text
		}
	}
	return ""
}

// report is what the status says, with the largest difference of each route first.
func (c *counts) report() []admin.ShadowRoute {
	all := []admin.ShadowRoute{}
	for _, name := range c.routes {
		r := admin.ShadowRoute{Name: name, Would: map[string]uint64{}, Today: map[string]uint64{}, Differences: []admin.ShadowDifference{}}
		for verdict, n := range c.would[name] {
			r.Would[string(verdict)] = n
			r.Seen += n
		}
		for o, places := range c.outcomes {
			if o.route == name {
				addOutcome(&r, o, places)
			}
		}
		slices.SortFunc(r.Differences, func(a, b admin.ShadowDifference) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Today, b.Today), cmp.Compare(a.Anyport, b.Anyport))
		})
		all = append(all, r)
	}
	return all
}

// addOutcome adds one combination to the report of its route.
func addOutcome(r *admin.ShadowRoute, o outcome, places map[place]uint64) {
	var total uint64
	top := []admin.ShadowPlace{}
	for at, n := range places {
		total += n
		if at != (place{}) {
			top = append(top, admin.ShadowPlace{Prefix: at.prefix.String(), Protocol: at.protocol.String(), Port: at.port, Count: n})
		}
	}
	r.Today[string(o.today)] += total
	text := o.meaning()
	if text == "" {
		return
	}
	slices.SortFunc(top, func(a, b admin.ShadowPlace) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Prefix, b.Prefix), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port))
	})
	r.Differences = append(r.Differences, admin.ShadowDifference{
		Today: string(o.today), Anyport: string(o.anyport), Meaning: text, Count: total, Top: top[:min(len(top), topPlaces)],
	})
}
