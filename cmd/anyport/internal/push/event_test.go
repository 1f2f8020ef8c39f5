package push

import (
	"encoding/json"
	"testing"

	"anyport/cmd/anyport/internal/fleet"
)

func TestEventText(t *testing.T) {
	stage := Event{Table: "3f2a9c1b2d3e4f", Stage: 2, Stages: 3, Part: "10%"}
	in := func(kind Kind, change func(*Event)) Event {
		e := stage
		e.Event = kind
		change(&e)
		return e
	}
	tried, others := &fleet.Totals{Conns: 1000, Failed: 5}, &fleet.Totals{Conns: 4000, Failed: 4, Reset: 1}
	for _, test := range []struct {
		event Event
		want  string
	}{
		{Event{Event: Stored, Table: stage.Table}, "table 3f2a9c1b2d3e is stored"},
		{in(Begins, func(e *Event) { e.Hosts = []string{"a", "b", "c", "d", "e", "f", "g"} }), "stage 2/3 (10%): table 3f2a9c1b2d3e goes to a, b, c, d, e and 2 more"},
		{in(Serves, func(e *Event) { e.Hosts = []string{"a"} }), "stage 2/3 (10%): a: serves 3f2a9c1b2d3e"},
		{in(Holds, func(e *Event) { e.Left, e.Tried, e.Others = 59.7, tried, others }), "stage 2/3 (10%): 1m0s left, 1000 conns: refused 0 % (0 %), failed 0.5 % (0.1 %), reset 0 % (0.025 %)"},
		{in(Held, func(e *Event) { e.Tried, e.Others = tried, &fleet.Totals{} }), "stage 2/3 (10%): held, 1000 conns: refused 0 % (?), failed 0.5 % (?), reset 0 % (?)"},
		{in(Held, func(e *Event) { e.Tried, e.Others = &fleet.Totals{}, others }), "stage 2/3 (10%): held, no conns: only readiness was judged"},
		{in(Away, func(e *Event) { e.Why = "no route" }), "stage 2/3 (10%): the source does not answer: no route"},
		{in(BackTo, func(e *Event) { e.Why = "a refused the table: \x1b[1m\n    x" }), `stage 2/3 (10%): back to table 3f2a9c1b2d3e: a refused the table: \x1b[1m x`},
		{in(Returns, func(e *Event) { e.Hosts = []string{"a"} }), "stage 2/3 (10%): back: a serves 3f2a9c1b2d3e again"},
		{in(Remains, func(e *Event) { e.Hosts = []string{"a"} }), "stage 2/3 (10%): back: a does not serve 3f2a9c1b2d3e yet"},
		{Event{Event: Done, Table: stage.Table, Hosts: []string{"a", "b"}}, "done: table 3f2a9c1b2d3e is current, on a, b"},
		{Event{Event: Done, Table: stage.Table, Why: "it was already"}, "done: table 3f2a9c1b2d3e is current: it was already"},
	} {
		if got := test.event.String(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
	got, _ := json.Marshal(in(Held, func(e *Event) { e.Tried, e.Others = tried, others }))
	const want = `{"event":"held","table":"3f2a9c1b2d3e4f","stage":2,"stages":3,"part":"10%",` +
		`"tried":{"conns":1000,"refused":0,"failed":5,"reset":0},"others":{"conns":4000,"refused":0,"failed":4,"reset":1}}`
	if string(got) != want {
		t.Errorf("%s, want %s", got, want)
	}
}
