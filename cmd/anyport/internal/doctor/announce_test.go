package doctor

import (
	"errors"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
)

func TestCheckAnnounce(t *testing.T) {
	for _, test := range []struct {
		name   string
		table  int
		found  Announcing
		status *admin.AnnounceStatus
		want   Status
		text   string
	}{
		{"none", 0, Announcing{}, nil, OK, "no route is announced"},
		{"before it runs", 179, Announcing{}, nil, OK, "nothing routes by it"},
		{"no device", 179, Announcing{TUNErr: errors.New("no such file")}, nil, Failure, "no such file"},
		{"a rule", 179, Announcing{RoutedBy: []string{"rule 100: from all table 179"}}, nil, Warning, "this host routes by table 179: rule 100"},
		{"it runs", 179, Announcing{}, &admin.AnnounceStatus{Table: 179, Prefixes: map[string]int{"announced": 2, "draining": 1, "waiting": 4}}, OK, "3 prefixes are announced"},
		{"it is not ready", 179, Announcing{}, &admin.AnnounceStatus{Table: 179, Problem: "the link is detached"}, Warning, "the link is detached"},
		{"the kernel refuses", 179, Announcing{}, &admin.AnnounceStatus{Table: 179, Error: "no IPv6"}, Warning, "no IPv6"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &Facts{Config: &config.Config{Announce: config.Announce{Table: test.table}}, Announcing: test.found}
			if test.status != nil {
				f.Running = &admin.Status{Announce: test.status}
			}
			got := checkAnnounce(f)
			if len(got) != 1 || got[0].Status != test.want || !strings.Contains(got[0].What, test.text) {
				t.Errorf("%+v, want %v with %q", got, test.want, test.text)
			}
		})
	}
}
