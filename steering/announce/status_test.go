package announce

import "testing"

// TestWhole: what is out of its hours does not count, or a host would count as withdrawn until they begin.
func TestWhole(t *testing.T) {
	for _, test := range []struct {
		prefixes map[Verdict]int
		want     bool
	}{
		{nil, true},
		{map[Verdict]int{Announced: 2}, true},
		{map[Verdict]int{Announced: 2, Draining: 1, Kept: 1}, true},
		{map[Verdict]int{Announced: 2, Inactive: 3}, true},
		{map[Verdict]int{Announced: 2, Inactive: 3, NoOrigin: 1}, false},
		{map[Verdict]int{Announced: 2, Waiting: 1}, false},
		{map[Verdict]int{NotReady: 2}, false},
	} {
		if got := (Status{Prefixes: test.prefixes}).Whole(); got != test.want {
			t.Errorf("%v: %v, want %v", test.prefixes, got, test.want)
		}
	}
}
