package text

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"anyport/cmd/anyport/internal/admin"
)

func TestAnnounceLines(t *testing.T) {
	for _, test := range []struct {
		name string
		a    *admin.AnnounceStatus
		want [][2]string
	}{
		{"without a table", nil, nil},
		{"all is well", &admin.AnnounceStatus{Table: 179, Prefixes: map[string]int{"announced": 2, "draining": 1}, Parts: []admin.AnnouncePart{{Verdict: "announced"}}},
			[][2]string{{"announce", "table 179, 2 prefixes announced, 1 prefix draining"}}},
		{"nothing to serve", &admin.AnnounceStatus{Table: 179}, [][2]string{{"announce", "table 179, no route of the file serves a prefix"}}},
		{"nothing is well", &admin.AnnounceStatus{Table: 179, Prefixes: map[string]int{"not_ready": 2, "kept": 1}, Problem: "the link is detached", Kept: "too few others", Error: "a\nb", RoutesRestored: 1,
			Parts: []admin.AnnouncePart{{Verdict: "damped", Flaps: 3, WaitSeconds: 61.2}, {Route: "web", Verdict: "damped", Flaps: 1, WaitSeconds: 1}}},
			[][2]string{
				{"announce", "table 179, 1 prefix kept, 2 prefixes not ready; 1 route put back after others removed them"},
				{"ANNOUNCE", "this host is not ready: the link is detached"},
				{"ANNOUNCE", "prefixes stay announced: too few others"},
				{"ANNOUNCE", "a; b"},
				{"ANNOUNCE", "this host was withdrawn 3 times: it is announced again in 1m1s"},
				{"ANNOUNCE", "route web was withdrawn 1 time: it is announced again in 1s"},
			}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, announceLines(test.a)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
