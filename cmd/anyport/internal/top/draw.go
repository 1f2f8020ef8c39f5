package top

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/text"
)

// wideEnough is the width from which the flows have all their columns.
const wideEnough = 150

// Lines of the screen that are not rows of a table: the summary, the views and the head, during a trial one about
// it; the details of a row, two of them; a message or the keys.
const (
	linesAbove = 3
	linesBelow = 3
)

// headLines is linesAbove, and the line of a trial.
func (m *model) headLines() int {
	if m.trial() != nil {
		return linesAbove + 1
	}
	return linesAbove
}

// trial is nil if there is none.
func (m *model) trial() *admin.TrialStatus {
	if m.picture.status == nil {
		return nil
	}
	return m.picture.status.Trial
}

// keysLine says how to leave first: a terminal may be narrower than it.
const keysLine = "q leave  1 2 3 view  s sort  / filter  ↑ ↓ scroll  ⏎ flows of  K kill  ? help"

// helpLines are the keys in full.
var helpLines = []string{
	"q, Ctrl-C      leave",
	"1 2 3, Tab     routes, origins, flows",
	"s, S           next, previous order",
	"/              type a filter; Enter keeps it, Esc takes it back",
	"↑ ↓ j k        one row; PgUp, PgDn a page; g, Home first; G, End last",
	"Enter          the flows of the selected route or origin; Esc: of all",
	"K, Delete      kill what is selected, after a question",
	"p, space       pause, and go on",
	"",
	"IN/S and OUT/S are bytes a second from and to clients, K = 1024.",
	"ERRORS of a route are conns and flows that failed; of an origin, failed",
	"dials and ICMP errors. MAX is max_conns, QUEUE the conns that wait.",
	"",
	"Any key goes back.",
}

// screen is what to show. selected is the line to mark, or -1.
type screen struct {
	lines    []string
	selected int
}

// draw is the screen of a size. It says in the model how many rows it has room for.
func (m *model) draw(rows, columns int) screen {
	m.rows = max(rows-m.headLines()-linesBelow, 1)
	m.moveTo(m.selected[m.view]) // rows may have gone, and the size may be another one
	s := screen{selected: -1}
	add := func(line string) { s.lines = append(s.lines, text.Shorten(line, columns)) }
	if m.picture.status == nil {
		add("anyport: " + m.waitingText())
		return s
	}
	add(text.Summary(m.picture.status, m.picture.routes))
	if t := m.trial(); t != nil {
		add(text.Trial(t, m.picture.now.At))
	}
	if m.help {
		add("")
		for _, line := range helpLines {
			add(line)
		}
		s.lines = s.lines[:min(len(s.lines), rows)]
		return s
	}
	add(m.viewsLine())
	table := m.grid(columns)
	if len(table) == 1 {
		table = append(table, "nothing to show")
	}
	add(table[0])
	for i, line := range table[1:] {
		if i == m.selected[m.view]-m.offset[m.view] {
			s.selected = len(s.lines)
		}
		add(line)
	}
	for len(s.lines) < rows-linesBelow {
		add("")
	}
	for _, line := range m.details(columns) {
		add(line)
	}
	add(m.bottomLine())
	s.lines = s.lines[:min(len(s.lines), rows)]
	return s
}

// grid is the head and the rows on the screen. The columns are as wide as these rows need.
func (m *model) grid(columns int) []string {
	from := m.offset[m.view]
	switch m.view {
	case routesView:
		rows := m.shownRoutes()
		return text.RouteGrid(rows[min(from, len(rows)):min(from+m.rows, len(rows))], false, m.picture.now.At).Lines(columns)
	case originsView:
		rows := m.shownOrigins()
		return text.OriginGrid(rows[min(from, len(rows)):min(from+m.rows, len(rows))], false, m.picture.now.At).Lines(columns)
	}
	rows := m.shownFlows()
	return text.FlowGrid(rows[min(from, len(rows)):min(from+m.rows, len(rows))], columns >= wideEnough).Lines(columns)
}

// viewsLine has the views with their sizes, the one that is shown in brackets, and what narrows it.
func (m *model) viewsLine() string {
	var parts []string
	for v, n := range []int{len(m.picture.routes), len(m.picture.origins), m.picture.total} {
		part := fmt.Sprintf("%d %s %d", v+1, view(v), n)
		if view(v) == m.view {
			part = "[" + part + "]"
		}
		parts = append(parts, part)
	}
	parts = append(parts, "sort: "+m.order(m.view))
	if f := m.filter[m.view]; f != "" || m.typing {
		parts = append(parts, "filter: "+f)
	}
	if !m.scope.Empty() && m.view == flowsView {
		parts = append(parts, "of "+m.scope.String())
	}
	if m.view == flowsView && m.picture.total > len(m.picture.flows) {
		parts = append(parts, fmt.Sprintf("the %d with most bytes", len(m.picture.flows)))
	}
	if m.paused {
		parts = append(parts, "PAUSED")
	}
	return strings.Join(parts, "  ")
}

// details are two lines about the selected row, with nothing cut that a table had to shorten.
func (m *model) details(columns int) []string {
	return wrap(m.selectedText(), columns)
}

// selectedText is about the selected row; "" if there is none.
func (m *model) selectedText() string {
	i := m.selected[m.view]
	switch m.view {
	case routesView:
		if routes := m.shownRoutes(); i < len(routes) {
			return text.RouteText(routes[i])
		}
	case originsView:
		if origins := m.shownOrigins(); i < len(origins) {
			return text.OriginText(origins[i], m.picture.now.At)
		}
	case flowsView:
		if flows := m.shownFlows(); i < len(flows) {
			return text.FlowText(flows[i])
		}
	}
	return ""
}

// wrap breaks a text into two lines, after a comma if there is one: a number stays with its unit.
func wrap(line string, columns int) []string {
	if utf8.RuneCountInString(line) <= columns {
		return []string{line, ""}
	}
	runes := []rune(line)
	at := strings.LastIndex(string(runes[:columns]), ", ")
	if at <= 0 {
		return []string{string(runes[:columns]), string(runes[columns:])}
	}
	return []string{line[:at+1], line[at+2:]}
}

// bottomLine asks, reports or says the keys.
func (m *model) bottomLine() string {
	switch {
	case m.question != "":
		return m.question
	case m.typing:
		return "filter: " + m.filter[m.view] + "_   Enter keeps it, Esc takes it back"
	case m.message != "":
		return m.message
	case m.failed != "":
		return "NOT UP TO DATE: " + m.failed
	}
	return keysLine
}

// waitingText says why there is no picture yet.
func (m *model) waitingText() string {
	if m.failed != "" {
		return m.failed
	}
	return "counting; q leaves"
}
