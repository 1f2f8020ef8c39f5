package overview

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/fleet"
	"anyport/cmd/anyport/internal/fleet/fleettest"
)

func TestOf(t *testing.T) {
	then := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	state := fleet.State{
		Pointer: fleet.Pointer{Table: "old", Previous: "older", Serial: 4, Trial: &fleet.Trial{Table: "new", Hosts: []string{"a", "b"}, Stage: "10%", Lease: 7}},
		Push:    &fleet.Push{By: "root@a", Began: then, Table: "new", Lease: 7},
	}
	reports := []fleet.Report{
		{Host: "a", Table: "new", Ready: true, Version: "v1"},
		{Host: "b", Table: "old", Ready: true, Version: "v1", LastError: "no room", ErrorTable: "new"},
		{Host: "c", Table: "old", Draining: true, Version: "v1"},
		{Host: "d", Table: "new", Version: "v2", LastError: "no room", ErrorTable: "older"},
	}
	namesakes := []fleet.Report{{Host: "a", Hostname: "twin"}, {Host: "gone"}}
	o := of(state, reports, namesakes, []fleet.Manifest{{Table: "new"}, {Table: "old", Size: 5, By: "root@b", Created: then}})
	want := map[string][]Difference{"a": {Name}, "b": {Table, Refused}, "c": {}, "d": {Table, Unready, Version}}
	for _, h := range o.Hosts {
		if !slices.Equal(h.Differs, want[h.Host]) {
			t.Errorf("%s: %v, want %v", h.Host, h.Differs, want[h.Host])
		}
	}
	if o.Size != 5 || o.By != "root@b" || o.Differ != 3 || len(o.Hosts[0].Namesakes) != 1 || o.Push.Stage != "10%" || o.Hosts[0].Wanted != "new" || o.Hosts[2].Wanted != "old" {
		t.Errorf("%+v", o)
	}
	state.Push.Lease = 8 // another push, which has not begun
	if o := of(state, reports, nil, nil); o.Push.Stage != "" || o.Hosts[0].Wanted != "old" {
		t.Errorf("%+v", o)
	}
}

func TestUsualVersion(t *testing.T) {
	now := time.Now()
	one, two := fleet.Report{Version: "v1", Began: now}, fleet.Report{Version: "v2", Began: now.Add(time.Second)}
	for _, test := range []struct {
		reports []fleet.Report
		want    string
	}{
		{nil, ""}, {[]fleet.Report{one}, "v1"}, {[]fleet.Report{one, two}, "v2"}, {[]fleet.Report{two, one, one}, "v1"},
	} {
		if got := usualVersion(test.reports); got != test.want {
			t.Errorf("%+v: %q, want %q", test.reports, got, test.want)
		}
	}
}

// TestRead: of an empty store there are lists, and no null but that of the push.
func TestRead(t *testing.T) {
	store := fleettest.New()
	o, err := Read(t.Context(), "etcd://a/b", store)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(o)
	if want := `{"source":"etcd://a/b","table":"","size":0,"by":"","previous":"","serial":0,"push":null,"hosts":[],"differ":0}`; string(got) != want {
		t.Errorf("%s, want %s", got, want)
	}
	store.SetAway(true)
	if _, err := Read(t.Context(), "", store); !errors.Is(err, fleettest.ErrAway) {
		t.Error(err)
	}
}
