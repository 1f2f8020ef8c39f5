package top

import (
	"fmt"
	"unicode/utf8"

	"anyport/cmd/anyport/internal/admin"
)

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
