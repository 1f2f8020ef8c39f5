package top

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/text"
)

// somePicture has two routes, three origins and many flows, of which the last carries most.
func somePicture(flows int) picture {
	checked := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	origin := func(address string, up bool) admin.OriginStatus {
		return admin.OriginStatus{Address: address, Up: up, Weight: 1, ConnsActive: 3, FailedDials: 2, CheckedAt: &checked}
	}
	status := &admin.Status{Version: "v1", PID: 7, UptimeSeconds: 3723, Routes: []admin.RouteStatus{
		{Name: "web", Protocol: []string{"tcp"}, Prefixes: []string{"192.0.2.0/24"}, Ports: []string{"1-65535"}, Action: "forward", ConnsActive: 12, MaxConns: 100, Origins: []admin.OriginStatus{origin("10.0.0.5:80", true), origin("10.0.0.6:80", false)}},
		{Name: "a-route-with-a-long-name-of-forty-letters", Protocol: []string{"udp"}, Prefixes: []string{"2001:db8::/32"}, Ports: []string{"53"}, Action: "forward", ConnsActive: 1234567, Origins: []admin.OriginStatus{origin("[2001:db8:ffff:ffff::1234]:65535", true)}},
	}}
	now := text.Sample{At: checked.Add(3 * time.Second), Status: status}
	pic := picture{status: status, now: now, routes: text.RateRoutes(now, now), origins: text.RateOrigins(now, now), total: flows}
	for i := range flows {
		pic.flows = append(pic.flows, admin.Flow{
			ID: fmt.Sprintf("%016x", i), Protocol: "tcp", Client: fmt.Sprintf("[2001:db8:1:2:3:4:5:%x]:50123", i), Dst: "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
			Route: "web", Origin: "[2001:db8:ffff:ffff::1234]:65535", State: "open", AgeSeconds: float64(flows - i), FlowRates: &admin.FlowRates{ToOrigin: float64(i * 100000)},
		})
	}
	return pic
}

// typed presses keys one after the other, and returns the last action.
func typed(m *model, keys ...key) (a action) {
	for _, k := range keys {
		a = m.press(k)
	}
	return a
}

// TestFits: no line is longer than the screen, no screen has more lines than fit, and no number is cut, at any
// size and in each view.
func TestFits(t *testing.T) {
	for _, size := range [][2]int{{24, 80}, {24, 60}, {10, 100}, {50, 200}, {3, 20}, {1, 1}} {
		rows, columns := size[0], size[1]
		for _, v := range []key{"1", "2", "3", "?"} {
			m := &model{picture: somePicture(100)}
			typed(m, v)
			s := m.draw(rows, columns)
			if len(s.lines) > rows {
				t.Errorf("%d × %d, view %s: %d lines", rows, columns, v, len(s.lines))
			}
			for _, line := range s.lines {
				if n := utf8.RuneCountInString(line); n > columns {
					t.Errorf("%d × %d, view %s: %d columns: %q", rows, columns, v, n, line)
				}
			}
		}
	}
	for view, want := range map[key]string{
		"1": "1.2M", "2": "FAILED", "3": "9.4M", // the largest rate is 9,900,000 bytes
	} {
		m := &model{picture: somePicture(100)}
		m.picture.origins[0].CheckFailed = "no"
		typed(m, view)
		screen := strings.Join(m.draw(24, 80).lines, "\n")
		if !strings.Contains(screen, want) || !strings.Contains(screen, "q leave") {
			t.Errorf("view %s lacks %q or the keys:\n%s", view, want, screen)
		}
	}
}

// TestScroll: every flow can be reached, and the selected one is on the screen.
func TestScroll(t *testing.T) {
	m := &model{picture: somePicture(100)}
	typed(m, "3")
	m.draw(24, 80)
	for want := range 100 {
		s := m.draw(24, 80)
		flow := m.shownFlows()[m.selected[flowsView]]
		if m.selected[flowsView] != want || !strings.Contains(strings.Join(s.lines, "\n"), flow.ID) || s.selected < linesAbove || s.selected >= 24-linesBelow {
			t.Fatalf("row %d: selected %d, line %d:\n%s", want, m.selected[flowsView], s.selected, strings.Join(s.lines, "\n"))
		}
		typed(m, down)
	}
	for keys, want := range map[string]int{"g": 0, "gj": 1, "gjjk": 1, "G": 99, "Gk": 98} {
		for _, k := range keys {
			typed(m, key(k))
		}
		if m.selected[flowsView] != want {
			t.Errorf("after %s row %d, want %d", keys, m.selected[flowsView], want)
		}
	}
	if typed(m, home, pageDown); m.selected[flowsView] != 17 {
		t.Errorf("a page down is row %d", m.selected[flowsView])
	}
	m.picture.flows = m.picture.flows[:3] // the others have ended
	if m.draw(24, 80); m.selected[flowsView] != 2 || m.offset[flowsView] != 0 {
		t.Errorf("of 3 flows row %d is selected", m.selected[flowsView])
	}
	m.picture.flows = nil
	if s := m.draw(24, 80); m.selected[flowsView] != 0 || !strings.Contains(strings.Join(s.lines, "\n"), "nothing to show") {
		t.Errorf("of none row %d is selected", m.selected[flowsView])
	}
}

// TestTrial: during a trial a line says how each side does, and the rows below are fewer by one.
func TestTrial(t *testing.T) {
	m := &model{picture: somePicture(100)}
	typed(m, "3")
	m.draw(24, 80)
	rows := m.rows
	m.picture.status.Trial = &admin.TrialStatus{
		SharePercent: 5, Since: m.picture.now.At.Add(-3 * time.Minute),
		Old: admin.TrialSide{Conns: 1_900_120, Failed: 200}, New: admin.TrialSide{Conns: 1003, Failed: 61},
	}
	s := m.draw(24, 80)
	if want := "TRIAL of 5% for 3m: old 1.9M conns, 0.0% failed; new 1003 conns, 6.1% failed"; s.lines[1] != want {
		t.Errorf("%q, want %q", s.lines[1], want)
	}
	if m.rows != rows-1 || len(s.lines) != 24 || s.selected != linesAbove+1 {
		t.Errorf("%d rows after %d, %d lines, line %d is selected", m.rows, rows, len(s.lines), s.selected)
	}
	for _, v := range []key{"1", "2", "?"} {
		typed(m, v)
		if s := m.draw(10, 60); len(s.lines) > 10 || !strings.HasPrefix(s.lines[1], "TRIAL of 5%") {
			t.Errorf("view %s: %q", v, s.lines)
		}
	}
}

func TestSortAndFilter(t *testing.T) {
	m := &model{picture: somePicture(30)}
	typed(m, "3")
	if first := m.shownFlows()[0]; first.ID != fmt.Sprintf("%016x", 29) {
		t.Errorf("by rate the first is %s", first.ID)
	}
	typed(m, "s", "s") // bytes, age
	if first := m.shownFlows()[0]; m.order(flowsView) != "age" || first.ID != fmt.Sprintf("%016x", 0) {
		t.Errorf("by %s the first is %s", m.order(flowsView), first.ID)
	}
	typed(m, "S", "S", "/", ":", "1", "C", "]", "q", erase, enter)
	if shown := m.shownFlows(); len(shown) != 1 || shown[0].ID != fmt.Sprintf("%016x", 0x1c) || m.typing {
		t.Errorf("filter %q shows %d", m.filter[flowsView], len(shown))
	}
	if typed(m, escape); len(m.shownFlows()) != 30 {
		t.Errorf("after Esc %d are shown", len(m.shownFlows()))
	}
	typed(m, "/", "x", erase, erase, "y", escape)
	if m.filter[flowsView] != "" || m.typing {
		t.Errorf("a filter %q is left", m.filter[flowsView])
	}
	typed(m, "1", "/", "l", "o", "n", "g", enter)
	if shown := m.shownRoutes(); len(shown) != 1 || !strings.HasPrefix(shown[0].Name, "a-route") {
		t.Errorf("routes: %v", shown)
	}
}

// TestKill: only y confirms, and the kill ends the flows of the row that the question named.
func TestKill(t *testing.T) {
	m := &model{picture: somePicture(3)}
	typed(m, "3", "K")
	if m.question == "" || !strings.Contains(strings.Join(m.draw(24, 80).lines, "\n"), "? y/n") {
		t.Fatal("it does not ask")
	}
	m.picture.flows = m.picture.flows[:1] // meanwhile
	if a := m.press("y"); a != kill || m.victims.String() != fmt.Sprintf("id=%016x", 2) {
		t.Errorf("%v of %s", a, m.victims)
	}
	if a := typed(m, remove, "n"); a != nothing || m.question != "" || !strings.Contains(m.message, "nothing was killed") {
		t.Errorf("after n: %v, %q", a, m.message)
	}
	if typed(m, "1", "K", "y"); m.victims.String() != "route=web" {
		t.Errorf("of a route: %s", m.victims)
	}
	if typed(m, "2", down, "K", "y"); m.victims.String() != "origin=10.0.0.6:80 route=web" {
		t.Errorf("of an origin: %s", m.victims)
	}
	m.picture.origins[0].Address = "10.0.0.5:3000-4000"
	if a := typed(m, home, "K"); a != nothing || m.question != "" || m.message == "" {
		t.Errorf("of a range: %q", m.question)
	}
	m.picture = picture{}
	if a := typed(m, "K"); a != nothing || m.question != "" {
		t.Errorf("of nothing: %q", m.question)
	}
}

func TestViews(t *testing.T) {
	m := &model{picture: somePicture(3)}
	if a := typed(m, enter); a != askAgain || m.view != flowsView || m.scope.Route != "web" {
		t.Errorf("of a route: view %v, scope %v", m.view, m.scope)
	}
	if a := typed(m, escape); a != askAgain || !m.scope.Empty() {
		t.Errorf("after Esc the scope is %v", m.scope)
	}
	typed(m, tab)
	if m.view != routesView {
		t.Errorf("the view after the last is %v", m.view)
	}
	typed(m, "p")
	if s := m.draw(24, 80); !m.paused || !strings.Contains(s.lines[1], "PAUSED") {
		t.Errorf("paused: %q", s.lines[1])
	}
	for _, k := range []key{"q", quit} {
		if m.press(k) != leave {
			t.Errorf("%q does not leave", k)
		}
	}
	if typed(m, "?", "q") != nothing || m.help {
		t.Error("a key leaves instead of going back from the help")
	}
	m.failed = "nobody answers"
	if s := m.draw(24, 80); !strings.Contains(s.lines[23], "NOT UP TO DATE: nobody answers") {
		t.Errorf("%q", s.lines[23])
	}
	if s := (&model{}).draw(24, 80); len(s.lines) != 1 || !strings.Contains(s.lines[0], "q leaves") {
		t.Errorf("before the first picture: %q", s.lines)
	}
}

func TestParseKeys(t *testing.T) {
	for in, want := range map[string][]key{
		"q": {"q"}, "ü": {"ü"}, "\x1b[A\x1b[B": {up, down}, "\x1bOA": {up}, "\x1b": {escape}, "\x1b[6~j": {pageDown, "j"},
		"\x1b[1;5C": nil, "\x1b[200~a": {"a"}, "\x03": {quit}, "\r\x7f\t": {enter, erase, tab}, "\x1b[": nil, "\x01a": {"a"}, "\xffa": {"a"}, "\x1bq": {escape, "q"}, "": nil,
	} {
		if got := parseKeys(in); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzKeys(f *testing.F) {
	f.Add("q\x1b[A/abc\r")
	f.Fuzz(func(t *testing.T, in string) {
		m := &model{picture: somePicture(5)}
		for _, k := range parseKeys(in) {
			m.press(k)
			m.draw(5, 40)
		}
	})
}
