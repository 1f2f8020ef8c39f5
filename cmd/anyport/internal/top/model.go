package top

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/text"
)

// view is one of the tables.
type view int

const (
	routesView view = iota
	originsView
	flowsView
	views
)

func (v view) String() string { return [views]string{"routes", "origins", "flows"}[v] }

// orders are the words to sort a view by, the usual one first.
func (v view) orders() []string {
	if v == flowsView {
		return text.FlowOrders
	}
	return []string{"file", "bytes", "live", "new", "errors", "name"}
}

// picture is what was read last: rates are those between two samples.
type picture struct {
	status  *admin.Status
	now     text.Sample
	routes  []text.RatedRoute
	origins []text.RatedOrigin
	flows   []admin.Flow
	total   int // flows that match; flows has those that carried most
}

// model is the state of the screen. Only the goroutine of Run touches it.
type model struct {
	view   view
	sort   [views]int // an index of orders
	filter [views]string
	scope  admin.FlowFilter // of the flows: of one route or origin
	typing bool             // a filter
	help   bool
	paused bool

	selected, offset [views]int // rows, after the filter
	rows             int        // of the table that the screen has room for

	picture  picture
	failed   string // why the last sample failed; "": it did not
	message  string // of an order; shown until the next key
	question string // to be confirmed by y
	victims  admin.FlowFilter
}

// action is what a key asks of the loop.
type action int

const (
	nothing action = iota
	leave
	kill     // of model.victims
	askAgain // the flows are others now
)

// press acts on one key.
func (m *model) press(k key) action {
	m.message = ""
	switch {
	case k == quit:
		return leave
	case m.question != "":
		m.question = ""
		if k == "y" || k == "Y" {
			return kill
		}
		m.message = "nothing was killed"
		return nothing
	case m.typing:
		m.typeFilter(k)
		return nothing
	case m.help:
		m.help = false
		return nothing
	}
	return m.command(k)
}

// typeFilter changes the filter while it is typed.
func (m *model) typeFilter(k key) {
	f := &m.filter[m.view]
	switch {
	case k == enter:
		m.typing = false
	case k == escape:
		m.typing, *f = false, ""
	case k == erase:
		_, size := utf8.DecodeLastRuneInString(*f)
		*f = (*f)[:len(*f)-size]
	case utf8.RuneCountInString(string(k)) == 1:
		*f += string(k)
	}
	m.moveTo(0)
}

// command acts on a key outside of a question and a filter.
func (m *model) command(k key) action {
	switch k {
	case "q", "Q":
		return leave
	case "?", "h":
		m.help = true
	case "1", "2", "3":
		return m.show(view(k[0] - '1'))
	case tab:
		return m.show((m.view + 1) % views)
	case "s":
		m.sort[m.view] = (m.sort[m.view] + 1) % len(m.view.orders())
	case "S":
		m.sort[m.view] = (m.sort[m.view] + len(m.view.orders()) - 1) % len(m.view.orders())
	case "/":
		m.typing = true
	case "p", " ":
		m.paused = !m.paused
	case escape:
		return m.widen()
	case enter:
		return m.narrow()
	case "K", remove:
		m.askToKill()
	default:
		m.scroll(k)
	}
	return nothing
}

// show changes the view.
func (m *model) show(v view) action {
	m.view = v
	return askAgain
}

// widen takes back the filter, or else the scope.
func (m *model) widen() action {
	if m.filter[m.view] == "" && m.view == flowsView {
		m.scope = admin.FlowFilter{}
	}
	m.filter[m.view] = ""
	m.moveTo(0)
	return askAgain
}

// narrow shows the flows of the selected route or origin.
func (m *model) narrow() action {
	scope, ok := m.scopeOfSelected()
	if !ok || m.view == flowsView {
		return nothing
	}
	m.scope, m.view, m.filter[flowsView] = scope, flowsView, ""
	m.moveTo(0)
	return askAgain
}

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

// askToKill asks before it ends what the selected row stands for.
func (m *model) askToKill() {
	victims, ok := m.scopeOfSelected()
	if !ok {
		return
	}
	what := "all conns and flows of route " + victims.Route
	switch {
	case m.view == flowsView:
		what = "the flow of " + m.shownFlows()[m.selected[flowsView]].Client
	case m.view == originsView && victims.Origin == (admin.Where{}):
		m.message = "this origin has no single address: kill its route, or its flows"
		return
	case m.view == originsView:
		what = fmt.Sprintf("all conns and flows of route %s with origin %s", victims.Route, victims.Origin)
	}
	m.victims, m.question = victims, "kill "+what+"? y/n"
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
