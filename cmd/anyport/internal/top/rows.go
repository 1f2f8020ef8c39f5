package top

import (
	"slices"
	"strings"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/text"
)

// scopeOfSelected selects the flows of the selected row.
func (m *model) scopeOfSelected() (f admin.FlowFilter, ok bool) {
	i := m.selected[m.view]
	switch m.view {
	case routesView:
		if routes := m.shownRoutes(); i < len(routes) {
			return admin.FlowFilter{Route: routes[i].Name}, true
		}
	case originsView:
		if origins := m.shownOrigins(); i < len(origins) {
			f.Route = origins[i].Route
			f.Origin, _ = admin.ParseWhere(origins[i].Address) // a range of ports, or a name without an address: the route's
			return f, true
		}
	case flowsView:
		if flows := m.shownFlows(); i < len(flows) {
			return admin.FlowFilter{IDs: []string{flows[i].ID}}, true
		}
	}
	return f, false
}

// scroll moves the selected row.
func (m *model) scroll(k key) {
	at, page := m.selected[m.view], max(m.rows-1, 1)
	switch k {
	case up, "k":
		m.moveTo(at - 1)
	case down, "j":
		m.moveTo(at + 1)
	case pageUp:
		m.moveTo(at - page)
	case pageDown:
		m.moveTo(at + page)
	case home, "g":
		m.moveTo(0)
	case end, "G":
		m.moveTo(m.length() - 1)
	}
}

// moveTo selects a row, and scrolls so that it is on the screen.
func (m *model) moveTo(row int) {
	length := m.length() // which filters and sorts all rows
	row = max(min(row, length-1), 0)
	m.selected[m.view] = row
	m.offset[m.view] = min(max(m.offset[m.view], row-m.rows+1), row)
	m.offset[m.view] = min(m.offset[m.view], max(length-m.rows, 0)) // no empty lines below the last row
}

// length is the number of rows after the filter.
func (m *model) length() int {
	switch m.view {
	case routesView:
		return len(m.shownRoutes())
	case originsView:
		return len(m.shownOrigins())
	}
	return len(m.shownFlows())
}

// order is the word that the view is sorted by.
func (m *model) order(v view) string { return v.orders()[m.sort[v]] }

// matches reports whether some words have what the filter says, in capitals or not.
func (m *model) matches(v view, words ...string) bool {
	return strings.Contains(strings.ToLower(strings.Join(words, " ")), strings.ToLower(m.filter[v]))
}

func (m *model) shownRoutes() []text.RatedRoute {
	shown := slices.DeleteFunc(slices.Clone(m.picture.routes), func(r text.RatedRoute) bool {
		return !m.matches(routesView, r.Name, text.RouteState(r.RouteStatus), strings.Join(r.Prefixes, " "))
	})
	text.SortRoutes(shown, m.order(routesView))
	return shown
}

func (m *model) shownOrigins() []text.RatedOrigin {
	shown := slices.DeleteFunc(slices.Clone(m.picture.origins), func(o text.RatedOrigin) bool {
		return !m.matches(originsView, o.Address, o.Route, o.State, o.Forced, o.Name)
	})
	text.SortOrigins(shown, m.order(originsView))
	return shown
}

func (m *model) shownFlows() []admin.Flow {
	shown := slices.DeleteFunc(slices.Clone(m.picture.flows), func(f admin.Flow) bool {
		return !m.matches(flowsView, f.Protocol, f.Client, f.Peer, f.Dst, f.Origin, f.Route, f.State, f.ID)
	})
	text.SortFlows(shown, m.order(flowsView))
	return shown
}
