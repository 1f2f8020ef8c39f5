package table

import (
	"cmp"
	"fmt"
	"slices"

	"anyport/config"
)

// span is the ports that one range of a route takes, or a piece of it where except_ports cut
// it. Its width is that of the range as written in the file, not of the piece: the narrower
// range wins, and except_ports must not change which one that is.
type span struct {
	config.PortRange
	width   int
	binding uint32
}

// spans returns what route takes of the ports of protocol.
func spans(route *config.Route, protocol config.Protocol, binding uint32) []span {
	var all []span
	for _, r := range route.Ports {
		for _, piece := range r.Without(route.Excepted(protocol)) {
			all = append(all, span{piece, r.Width(), binding})
		}
	}
	return all
}

// overlay lays the spans over the intervals around them, the narrowest on top.
// Two spans of different bindings, equally wide and both on top, are an error.
func overlay(around []Interval, spans []span) ([]Interval, error) {
	slices.SortStableFunc(spans, func(a, b span) int { return cmp.Compare(a.width, b.width) })
	edges := edgesOf(around, spans)
	owners := make([]*span, len(edges)) // of the ports from one edge to the next
	for i := range spans {
		s := &spans[i]
		e, _ := slices.BinarySearch(edges, s.First)
		for ; e < len(edges) && edges[e] <= s.Last; e++ {
			switch o := owners[e]; {
			case o == nil:
				owners[e] = s
			case o.width == s.width && o.binding != s.binding:
				return nil, fmt.Errorf("two routes take port %d with equally narrow ranges, %v and %v", edges[e], o, s)
			}
		}
	}
	return join(around, edges, owners), nil
}

// edgesOf returns every port at which the owner may change, sorted.
func edgesOf(around []Interval, spans []span) []uint16 {
	all := make([]uint16, 0, len(around)+2*len(spans))
	for _, v := range around {
		all = append(all, v.First)
	}
	for _, s := range spans {
		all = append(all, s.First)
		if s.Last < 65535 {
			all = append(all, s.Last+1)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// join makes intervals of the ports between the edges, one where neighbours agree.
func join(around []Interval, edges []uint16, owners []*span) []Interval {
	var list []Interval
	for i, lo := range edges {
		b := at(around, lo)
		if owners[i] != nil {
			b = owners[i].binding
		}
		if len(list) == 0 || list[len(list)-1].Binding != b {
			list = append(list, Interval{lo, b})
		}
	}
	return list
}
