package host

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"anyport/steering/internal/tabletest"
)

func TestNewPlan(t *testing.T) {
	for _, test := range []struct{ name, old, wanted, before, after string }{
		{"first of all", "", "192.0.2.0/24", "", "+192.0.2.0/24"},
		{"the end", "192.0.2.0/24", "", "-192.0.2.0/24", ""},
		{"the same", "192.0.2.0/24", "192.0.2.0/24", "", ""},
		{"another", "192.0.2.0/24", "198.51.100.0/24", "-192.0.2.0/24", "+198.51.100.0/24"},
		{"a part of it stays local throughout", "192.0.2.0/24", "192.0.2.0/25", "+192.0.2.0/25 -192.0.2.0/24", ""},
		{"the whole of it", "192.0.2.0/25", "192.0.2.0/24", "", "+192.0.2.0/24 -192.0.2.0/25"},
		{"both families", "2001:db8::/48", "192.0.2.0/24", "-2001:db8::/48", "+192.0.2.0/24"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := newRoutePlan(tabletest.Lite(test.old), tabletest.Lite(test.wanted))
			if diff := cmp.Diff([]string{test.before, test.after}, []string{text(got.Before), text(got.After)}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestInverse(t *testing.T) {
	p := newRoutePlan(tabletest.Lite("192.0.2.0/24"), tabletest.Lite("192.0.2.0/25"))
	if got, want := text(Inverse(p.Before)), "+192.0.2.0/24 -192.0.2.0/25"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func text(changes []RouteChange) string {
	var all []string
	for _, c := range changes {
		sign := map[bool]string{true: "+", false: "-"}[c.add]
		all = append(all, fmt.Sprint(sign, c.prefix))
	}
	return strings.Join(all, " ")
}
