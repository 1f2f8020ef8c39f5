package integration

import (
	"testing"
	"time"
)

// at is a moment of the histories below.
func at(second int) time.Time { return time.Unix(int64(second), 0) }

// TestHistoryTellsFaults tests the harness: the checker accepts every result that two
// reloads, from 10 to 12 and from 20 to 22, can have, and no other.
func TestHistoryTellsFaults(t *testing.T) {
	both, before, after, neither := [2]string{"one", "two"}, [2]string{"one", refused}, [2]string{refused, "two"}, [2]string{refused, refused}
	for _, c := range []struct {
		why          string
		begun, ended int
		valid        [2]string
		answer       string
		fault        bool
	}{
		{"the first table", 1, 2, both, "one", false},
		{"the second table too early", 1, 9, both, "two", true},
		{"old while it reloads", 10, 11, both, "one", false},
		{"new while it reloads", 10, 11, both, "two", false},
		{"refused while it reloads, but both serve", 10, 11, both, refused, true},
		{"cut while it reloads, but both serve", 10, 11, both, cut, true},
		{"silence while it reloads", 10, 11, both, silent, true},
		{"somebody else", 10, 11, both, "three", true},
		{"the host's own listener", 10, 11, neither, "host", true},
		{"the host's own listener, one table serves", 10, 11, before, "host", true},
		{"begun before the reload, the new", 9, 10, both, "two", false},
		{"ended after the reload, the old", 12, 13, both, "one", false},
		{"the old table too late", 13, 14, both, "one", true},
		{"the second table", 13, 19, both, "two", false},
		{"refused by the new while it reloads", 11, 11, before, refused, false},
		{"accepted by the old, cut by the new", 11, 11, before, cut, false},
		{"accepted by the new, cut by the old", 11, 11, after, cut, false},
		{"cut though neither serves", 11, 11, neither, cut, true},
		{"cut in peace", 14, 15, before, cut, true},
		{"served without a reload by a table that is not in force", 14, 15, before, "one", true},
		{"the first table is back", 23, 24, both, "one", false},
		{"the second stays on", 23, 24, both, "two", true},
		{"over both reloads", 1, 30, both, "two", false},
		{"over both reloads, refused", 1, 30, both, refused, true},
	} {
		h := history{
			reloads: []span{{at(10), at(12)}, {at(20), at(22)}},
			trials:  []trial{{span{at(c.begun), at(c.ended)}, "tcp 192.0.2.7:80", c.valid, c.answer}},
		}
		if got := h.faults(); (len(got) > 0) != c.fault {
			t.Errorf("%s: the checker says %v", c.why, got)
		}
	}
}
