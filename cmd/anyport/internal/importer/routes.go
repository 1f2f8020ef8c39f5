package importer

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"anyport/config"
)

// piece is what one route does on one prefix: a cell on some ports. Pieces of one cell that differ only
// in their prefixes are one route.
type piece struct {
	cell
	protocols []config.Protocol
	ports     []span[uint16]
	prefixes  []netip.Prefix
}

// key is all of a piece but its prefixes.
func (p *piece) key() string {
	return fmt.Sprintf("%d %p %s %d %v %v", p.fate, p.rule, p.clients, p.denied, p.protocols, p.ports)
}

// pieces lays the families out as prefixes with ports.
func (c *compiler) pieces() []*piece {
	byKey := map[string]*piece{}
	var all []*piece
	for _, f := range c.families {
		maps, label := c.labels(f)
		for _, l := range cover(f.is4, f.destinations, label) {
			var around portMap
			if l.outer != none {
				around = maps[l.outer]
			}
			for _, p := range piecesOf(maps[l.label], around) {
				key := p.key()
				if byKey[key] == nil {
					byKey[key] = p
					all = append(all, p)
				}
				byKey[key].prefixes = append(byKey[key].prefixes, l.prefix)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *piece) int { return cmp.Compare(c.position(a), c.position(b)) })
	return all
}

// position is that of the rule in the input; pieces without a rule come last.
func (c *compiler) position(p *piece) int {
	if p.rule == nil {
		return 1 << 30
	}
	return c.order[p.rule]
}

// labels numbers the port maps of a family. A class whose packets no route forwards has no label: its
// addresses stay as they are. One that the rules refuse or drop whole may lie inside a prefix.
func (c *compiler) labels(f *family) (maps []portMap, label func(int) (int, bool)) {
	numbers := map[string]int{}
	labels, served := make([]int, len(f.destinations)), make([]bool, len(f.destinations))
	for i, m := range f.ports {
		forwards, stays := m.has(forward), m.has(pass) || m.has(untouched) || m.has(kept)
		if labels[i] = none; !forwards && stays {
			continue
		}
		served[i] = forwards
		key := fmt.Sprintf("%+v", m)
		n, known := numbers[key]
		if !known {
			n = len(maps)
			numbers[key] = n
			maps = append(maps, m)
		}
		labels[i] = n
	}
	return maps, func(i int) (int, bool) { return labels[i], served[i] }
}

func (m portMap) has(f fate) bool {
	for _, cells := range m {
		if slices.ContainsFunc(cells, func(p portCell) bool { return p.fate == f }) {
			return true
		}
	}
	return false
}

// piecesOf returns what a prefix does otherwise than the one around it. What no rule takes needs no
// route, except inside a prefix that has one.
func piecesOf(own, around portMap) (all []*piece) {
	byCell := map[cell]*[2][]span[uint16]{}
	var cells []cell
	for i := range own {
		for _, p := range own[i] {
			for _, s := range differing(p, around[i]) {
				if byCell[p.cell] == nil {
					byCell[p.cell] = &[2][]span[uint16]{}
					cells = append(cells, p.cell)
				}
				byCell[p.cell][i] = append(byCell[p.cell][i], s)
			}
		}
	}
	for _, made := range cells {
		tcp, udp := adjoined(byCell[made][0]), adjoined(byCell[made][1])
		switch {
		case slices.Equal(tcp, udp):
			all = append(all, &piece{cell: made, protocols: protocols[:], ports: tcp})
			continue
		case len(tcp) > 0:
			all = append(all, &piece{cell: made, protocols: protocols[:1], ports: tcp})
		}
		if len(udp) > 0 {
			all = append(all, &piece{cell: made, protocols: protocols[1:], ports: udp})
		}
	}
	return all
}

// differing returns the ports of p on which the cells around are not its own.
func differing(p portCell, around []portCell) (all []span[uint16]) {
	silent := p.fate == untouched || p.fate == kept
	if len(around) == 0 {
		if silent {
			return nil
		}
		return []span[uint16]{p.span}
	}
	for _, a := range around {
		both := span[uint16]{max(a.first, p.first), min(a.last, p.last)}
		alike := a.cell == p.cell || silent && (a.fate == untouched || a.fate == kept)
		if both.first <= both.last && !alike {
			all = append(all, both)
		}
	}
	return all
}

// adjoined puts neighbours together.
func adjoined(all []span[uint16]) (joined []span[uint16]) {
	for _, s := range all {
		if n := len(joined); n > 0 && int(joined[n-1].last)+1 == int(s.first) {
			joined[n-1].last = s.last
		} else {
			joined = append(joined, s)
		}
	}
	return joined
}

// written returns ports as a route has them: the fewer ranges of the ports and of their exceptions.
func written(ports []span[uint16]) (in, except []config.PortRange) {
	for _, s := range ports {
		in = append(in, config.PortRange{First: s.first, Last: s.last})
	}
	all := config.PortRange{First: 1, Last: 65535}
	except = all.Without(in)
	if len(except) < len(in) {
		return nil, except
	}
	return in, nil
}

// prefixText leaves out the length of a single address.
func prefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
