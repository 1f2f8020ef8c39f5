package importer

import (
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// MainRoute is a route of the main table, which the kernel asks after the table of its own addresses.
type MainRoute struct {
	Prefix netip.Prefix
	// Via is where the packets go, as "via 10.0.0.1 dev wan"; "" if they go to no other host: a blackhole or a dummy
	// device, as routers keep them for the prefixes that they announce.
	Via string
}

// elsewhere knows which dsts this host routes to other hosts. Whether the default route is right for a dst
// nobody knows here: packets for a served prefix also come to hosts that have no route of its own for it.
type elsewhere struct {
	routes *bart.Table[string] // by the longest prefix; "": to no other host
}

// elsewhereOf builds the table. The addresses of this host win, whatever routes are around them.
func elsewhereOf(routes []MainRoute, local []netip.Prefix) elsewhere {
	e := elsewhere{new(bart.Table[string])}
	for _, r := range routes {
		if r.Prefix.Bits() > 0 {
			e.routes.Insert(r.Prefix.Masked(), r.Via)
		}
	}
	for _, p := range local {
		e.routes.Insert(p.Masked(), "")
	}
	return e
}

// via says where dst is routed to; "" if to no other host.
func (e elsewhere) via(dst netip.Addr) string {
	via, _ := e.routes.Lookup(dst)
	return via
}

// spans are the dsts of each way that leads to other hosts, so that no class has dsts of two ways.
func (e elsewhere) spans() (lists [][]span[netip.Addr]) {
	byWay := map[string]int{}
	for _, s := range e.pieces() {
		if via := e.via(s.first); via != "" {
			lists = addTo(lists, byWay, via, s)
		}
	}
	return lists
}

// pieces divides what the routes cover at their ends. One route holds for all of a piece.
func (e elsewhere) pieces() (all []span[netip.Addr]) {
	var begins []netip.Addr
	for p := range e.routes.All() {
		begins = append(begins, p.Addr())
		if next := lastOf(p).Next(); next.IsValid() {
			begins = append(begins, next)
		}
	}
	slices.SortFunc(begins, netip.Addr.Compare)
	begins = slices.Compact(begins)
	for i, first := range begins {
		last := lastOf(netip.PrefixFrom(first, 0))
		if i+1 < len(begins) && begins[i+1].Is4() == first.Is4() {
			last = begins[i+1].Prev()
		}
		all = append(all, span[netip.Addr]{first, last})
	}
	return all
}
