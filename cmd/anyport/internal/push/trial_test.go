package push

import (
	"strings"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/fleet"
)

// began is a time of tests.
var began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// at is a host's report on the table "old" or "new", after n conns.
func at(host string, table fleet.Hash, n uint64) fleet.Report {
	serial := int64(1)
	if table == "new" {
		serial = 2
	}
	return fleet.Report{Host: host, Table: table, Serial: serial, Ready: true, Began: began, Totals: fleet.Totals{Conns: n}}
}

// with changes a report.
func with(r fleet.Report, change func(*fleet.Report)) fleet.Report {
	change(&r)
	return r
}

// newTested is a stage of a and b of four hosts.
func newTested() *trial {
	t := newTrial("new", []string{"a", "b"}, []fleet.Report{at("a", "old", 0), at("b", "old", 0), at("c", "old", 0), at("d", "old", 0)}, time.Minute, began)
	t.serial = 2
	return t
}

// others are the hosts that stay on the old table.
func others(n uint64) []fleet.Report { return []fleet.Report{at("c", "old", n), at("d", "old", n)} }

func TestTrialPasses(t *testing.T) {
	tested := newTested()
	for _, step := range []struct {
		after   time.Duration
		a, b    fleet.Report
		want    outcome
		taken   string
		expects string
	}{
		{time.Second, at("a", "old", 10), at("b", "old", 10), waiting, "", "no host has it"},
		{2 * time.Second, at("a", "new", 10), with(at("b", "old", 10), func(r *fleet.Report) { r.ErrorTable, r.LastError = "new", "of an earlier try" }), waiting, "a", "an error of another serial"},
		{50 * time.Second, at("a", "new", 10), at("b", "old", 10), waiting, "", "not yet a minute"},
		{55 * time.Second, at("a", "new", 10), at("b", "new", 10), holding, "b", "both"},
		{114 * time.Second, at("a", "new", 500), at("b", "new", 500), holding, "", "not yet held"},
		{115 * time.Second, at("a", "new", 500), at("b", "new", 500), passed, "", "held"},
	} {
		v := tested.look(append(others(500), step.a, step.b), began.Add(step.after))
		if v.outcome != step.want || strings.Join(v.taken, " ") != step.taken {
			t.Fatalf("%s: %+v, want %v and %q", step.expects, v, step.want, step.taken)
		}
		if step.want == passed && (v.tried.Conns != 1000 || v.others.Conns != 1000) {
			t.Errorf("%+v", v)
		}
	}
}

func TestTrialFails(t *testing.T) {
	for _, test := range []struct {
		name  string
		a     func(*fleet.Report) // of a host that has the table for a while; b is fine
		after time.Duration
		want  string
	}{
		{"nothing", func(*fleet.Report) {}, time.Second, ""},
		{"refused", func(r *fleet.Report) {
			r.Table, r.ErrorTable, r.LastError = "old", "new", "line 3: no room"
		}, time.Second, "a refused the table: line 3: no room"},
		{"another table again", func(r *fleet.Report) { r.Table = "older" }, time.Second, "a serves another table again: older"},
		{"not ready", func(r *fleet.Report) { r.Ready = false }, time.Second, "a is not ready any more"},
		{"an operator drains it", func(r *fleet.Report) { r.Ready, r.Draining = false, true }, time.Second, ""},
		{"began again", func(r *fleet.Report) { r.Began, r.Instance = began.Add(time.Hour), "2" }, time.Second, "a has a process that began again at 13:00:00: it may have died of the table"},
		{"all fail", func(r *fleet.Report) { r.Totals.Failed = 300 }, time.Second, "a 100 % of 300 conns failed, 0 % of 600 in comparison"},
		{"chance", func(r *fleet.Report) { r.Totals.Failed = 9 }, time.Second, ""},
	} {
		tested := newTested()
		tested.look(append(others(0), at("a", "new", 0), at("b", "new", 0)), began)
		v := tested.look(append(others(300), with(at("a", "new", 300), test.a), at("b", "new", 300)), began.Add(test.after))
		if (v.outcome == failed) != (test.want != "") || v.failure.why != "" && v.failure.Error() != test.want {
			t.Errorf("%s: %+v, want %q", test.name, v, test.want)
		}
	}
}

// TestTrialNeverTaken: a host that neither takes nor refuses the table fails it in the end.
func TestTrialNeverTaken(t *testing.T) {
	tested := newTested()
	reports := append(others(0), at("a", "new", 0), at("b", "old", 0))
	if v := tested.look(reports, began.Add(takeTime-1)); v.outcome != waiting {
		t.Errorf("%+v", v)
	}
	if v := tested.look(reports, began.Add(takeTime)); v.failure.Error() != "b does not serve the table after 1m0s" {
		t.Errorf("%+v", v)
	}
}

// TestTrialHostGone: a report may be missing for a while, and for good after a drain.
func TestTrialHostGone(t *testing.T) {
	tested := newTested()
	both := append(others(0), at("a", "new", 0), at("b", "new", 0))
	tested.look(both, began)
	tested.look(both[:3], began.Add(time.Second))
	if v := tested.look(both[:3], began.Add(time.Second+goneTime-1)); v.outcome != holding {
		t.Errorf("soon: %+v", v)
	}
	tested.look(both, began.Add(10*time.Second))
	tested.look(both[:3], began.Add(11*time.Second))
	if v := tested.look(both[:3], began.Add(11*time.Second+goneTime)); !strings.HasPrefix(v.failure.Error(), "b has no report any more") {
		t.Errorf("gone: %+v", v)
	}

	// Not the end of the hold decides what has become of a host, but its report.
	for _, end := range []struct {
		after time.Duration
		want  outcome
	}{{goneTime - 1, holding}, {goneTime, failed}} {
		tested = newTested()
		tested.look(both, began)
		missing := began.Add(tested.hold - time.Second)
		tested.look(both[:3], missing)
		if v := tested.look(both[:3], began.Add(tested.hold)); v.outcome != holding {
			t.Errorf("missing at the end of the hold: %+v", v)
		}
		if v := tested.look(both[:3], missing.Add(end.after)); v.outcome != end.want {
			t.Errorf("missing for %v: %+v", end.after, v)
		}
	}
	if v := tested.look(both, began.Add(time.Hour)); v.outcome != passed {
		t.Errorf("back: %+v", v)
	}

	tested = newTested()
	tested.look(append(others(0), at("a", "new", 0), with(at("b", "new", 0), func(r *fleet.Report) { r.Draining, r.Ready = true, false })), began)
	tested.look(both[:3], began.Add(time.Second))
	if v := tested.look(both[:3], began.Add(time.Hour)); v.outcome != passed {
		t.Errorf("after a drain: %+v", v)
	}
}

// TestTrialStale: a host whose report stays as it is fails the stage, unless nobody could look meanwhile.
func TestTrialStale(t *testing.T) {
	both := func(seconds int) []fleet.Report { // b's is never renewed
		return []fleet.Report{with(at("a", "new", 0), func(r *fleet.Report) { r.Written = began.Add(time.Duration(seconds) * time.Second) }), at("b", "new", 0)}
	}
	tested := newTested()
	for n := range 20 {
		v := tested.look(both(n), began.Add(time.Duration(n)*time.Second))
		if stale := n >= 15; (v.outcome == failed) != stale || stale && !strings.HasPrefix(v.failure.Error(), "b has not renewed its report for 15s") {
			t.Fatalf("after %d s: %+v", n, v)
		}
	}
	tested = newTested()
	for _, n := range []int{0, 1, 16, 17, 18} {
		if v := tested.look(both(n), began.Add(time.Duration(n)*time.Second)); v.outcome != holding {
			t.Fatalf("after %d s: %+v", n, v)
		}
	}
}

// TestTrialUnready: a host that was not ready before does not have to be, until it was; it must take the table all
// the same.
func TestTrialUnready(t *testing.T) {
	unready := func(r *fleet.Report) { r.Ready = false }
	tested := newTrial("new", []string{"a"}, []fleet.Report{with(at("a", "old", 0), unready)}, 0, began)
	tested.serial = 2
	if v := tested.look([]fleet.Report{with(at("a", "new", 0), unready)}, began); v.outcome != passed {
		t.Errorf("%+v", v)
	}
	tested.look([]fleet.Report{at("a", "new", 0)}, began)
	if v := tested.look([]fleet.Report{with(at("a", "new", 0), unready)}, began); v.outcome != failed {
		t.Errorf("ready and not any more: %+v", v)
	}
}

// TestTrialOneOfMany: one bad host does not drown in a hundred good ones, and without others the time before is
// what it is compared with.
func TestTrialOneOfMany(t *testing.T) {
	var hosts []string
	var before, now []fleet.Report
	for i := range 100 {
		host := "h" + strings.Repeat("i", i)
		hosts = append(hosts, host)
		before, now = append(before, at(host, "old", 1000)), append(now, with(at(host, "new", 2000), func(r *fleet.Report) { r.Totals.Reset = 10 }))
	}
	tested := newTrial("new", hosts, before, 0, began)
	tested.reference.sum = fleet.Totals{Conns: 100000, Reset: 1000}
	if v := tested.look(now, began); v.outcome != passed || v.others != tested.reference.sum {
		t.Errorf("%+v", v)
	}
	now[70].Totals.Reset = 100
	if v := tested.look(now, began); v.failure.host != hosts[70] || !strings.HasPrefix(v.failure.why, "10 % of 1000 conns reset, 1 % of 100000") {
		t.Errorf("%+v", v.failure)
	}
	for i := range now {
		now[i].Totals.Reset = 30
	}
	if v := tested.look(now, began); v.failure.host != "" || v.failure.Error() != "3 % of 100000 conns reset, 1 % of 100000 in comparison" {
		t.Errorf("%+v", v.failure)
	}
}

// TestReference: the hosts on the table before, since the push began; without such a time all that was counted.
func TestReference(t *testing.T) {
	first := byHost([]fleet.Report{at("a", "old", 100), at("b", "old", 100), at("c", "old", 100)})
	now := []fleet.Report{at("a", "new", 150), at("b", "old", 160), at("c", "old", 170), at("d", "old", 180)}
	if got := newReference(first, now, []string{"a"}, "new"); got.sum.Conns != 130 || got.own != nil {
		t.Errorf("%+v, want the conns of b and c", got)
	}
	if got := newReference(first, []fleet.Report{at("b", "old", 100)}, nil, "new"); got.sum.Conns != 300 || got.own["b"].Conns != 100 {
		t.Errorf("%+v, want all before", got)
	}
}

// TestTrialOwnTime: hosts with other clients than most are compared with their own time before.
func TestTrialOwnTime(t *testing.T) {
	failing := func(n uint64) func(*fleet.Report) { return func(r *fleet.Report) { r.Totals.Failed = n } }
	before := []fleet.Report{with(at("a", "old", 1000), failing(500)), at("b", "old", 1000)}
	tested := newTrial("new", []string{"a", "b"}, before, 0, began)
	tested.reference = newReference(byHost(before), before, nil, "new")
	now := []fleet.Report{with(at("a", "new", 2000), failing(1000)), at("b", "new", 2000)}
	if v := tested.look(now, began); v.outcome != passed {
		t.Errorf("%+v", v)
	}
	now[1].Totals.Failed = 100
	if v := tested.look(now, began); v.failure.Error() != "b 10 % of 1000 conns failed, 0 % of 1000 in comparison" {
		t.Errorf("%+v", v)
	}
}

// TestTrialUpgrade: a host whose process was replaced by an upgrade goes on, with counters that begin again.
func TestTrialUpgrade(t *testing.T) {
	tested := newTested()
	tested.look(append(others(0), at("a", "new", 0), at("b", "new", 0)), began)
	after := with(at("a", "new", 0), func(r *fleet.Report) { r.Began, r.Version = began.Add(time.Second), "v2" })
	if v := tested.look(append(others(300), after, at("b", "new", 300)), began.Add(2*time.Second)); v.outcome != holding {
		t.Errorf("%+v", v)
	}
}
