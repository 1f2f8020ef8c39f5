package fleet_test

import (
	"bytes"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/fleet"
)

// TestStateTable: only the hosts of a trial whose push runs take its table.
func TestStateTable(t *testing.T) {
	trial := &fleet.Trial{Table: "new", Hosts: []string{"edge1"}, Lease: 7}
	pointer := fleet.Pointer{Table: "old", Trial: trial}
	for name, c := range map[string]struct {
		state fleet.State
		host  string
		want  fleet.Hash
	}{
		"nothing pushed":       {fleet.State{}, "edge1", ""},
		"no trial":             {fleet.State{Pointer: fleet.Pointer{Table: "old"}}, "edge1", "old"},
		"on trial":             {fleet.State{Pointer: pointer, Push: &fleet.Push{Lease: 7}}, "edge1", "new"},
		"not on trial":         {fleet.State{Pointer: pointer, Push: &fleet.Push{Lease: 7}}, "edge2", "old"},
		"its push has ended":   {fleet.State{Pointer: pointer}, "edge1", "old"},
		"another push runs":    {fleet.State{Pointer: pointer, Push: &fleet.Push{Lease: 8}}, "edge1", "old"},
		"the first push of it": {fleet.State{Pointer: fleet.Pointer{Trial: trial}, Push: &fleet.Push{Lease: 7}}, "edge2", ""},
	} {
		if got := c.state.Table(c.host); got != c.want {
			t.Errorf("%s: %s takes %q, want %q", name, c.host, got, c.want)
		}
	}
}

// TestOthersSuffice: hosts that have said that they stop announcing do not count, nor do those that drain or are not
// ready, and the one that asks.
func TestOthersSuffice(t *testing.T) {
	reports := []fleet.Report{
		{Host: "a", Announcing: true}, {Host: "b", Announcing: true}, {Host: "c", Announcing: true}, {Host: "d"},
		{Host: "e", Announcing: true, Kept: true}, {Host: "f", Announcing: true, Draining: true},
	}
	withdrawn := func(host string) bool { return host == "c" }
	for min, want := range []bool{true, true, false} {
		if got := fleet.OthersSuffice("a", reports, withdrawn, min); got != want {
			t.Errorf("at least %d others: %v, want %v", min, got, want)
		}
	}
}

// TestSplit: the parts are the text again, and none is too large.
func TestSplit(t *testing.T) {
	for size := range 12 {
		text := []byte("0123456789ab")[:size]
		parts := fleet.Split(text, 4)
		if got := bytes.Join(parts, nil); !bytes.Equal(got, text) || len(parts) != (size+3)/4 {
			t.Errorf("%q in parts: %q", text, parts)
		}
	}
}

// TestHash: the name of an empty text is that of sha256sum, and only such names are valid.
func TestHash(t *testing.T) {
	empty := fleet.HashOf(nil)
	if empty != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" || !empty.Valid() {
		t.Errorf("the hash of nothing: %s", empty)
	}
	for _, h := range []fleet.Hash{"", "e3b0", "../" + empty, "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"} {
		if h.Valid() {
			t.Errorf("%q is taken for a hash", h)
		}
	}
}

// TestReplaces: a report stands in place of one of the same host, and of no other.
func TestReplaces(t *testing.T) {
	early, late := time.Unix(100, 0), time.Unix(200, 0)
	old := fleet.Report{Host: "a", Instance: "1", Place: "here", Began: early}
	for name, c := range map[string]struct {
		next fleet.Report
		want bool
	}{
		"the same process":                  {old, true},
		"after an upgrade":                  {fleet.Report{Instance: "1", Place: "here", Began: late}, true},
		"started again":                     {fleet.Report{Instance: "2", Place: "here", Began: late}, true},
		"the process before it":             {fleet.Report{Instance: "2", Place: "here", Began: time.Unix(50, 0)}, false},
		"another host":                      {fleet.Report{Instance: "2", Place: "there", Began: late}, false},
		"a host that does not know a place": {fleet.Report{Instance: "2", Began: late}, false},
	} {
		if got := c.next.Replaces(old); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if old.Place = ""; (fleet.Report{Instance: "2", Began: late}).Replaces(old) {
		t.Error("two hosts that do not know their places are taken for one")
	}
}
