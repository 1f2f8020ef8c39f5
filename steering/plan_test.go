package steering

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gaissmai/bart"
	"github.com/google/go-cmp/cmp"
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
			got := newPlan(lite(test.old), lite(test.wanted))
			if diff := cmp.Diff([]string{test.before, test.after}, []string{text(got.before), text(got.after)}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestInverse(t *testing.T) {
	p := newPlan(lite("192.0.2.0/24"), lite("192.0.2.0/25"))
	if got, want := text(inverse(p.before)), "+192.0.2.0/24 -192.0.2.0/25"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOutermost(t *testing.T) {
	table := compile(t,
		route("net", "1-65535", "192.0.2.0/24", "127.8.0.0/16", "2001:db8:1::/48"),
		route("host", "80", "192.0.2.7", "198.51.100.7", "2001:db8:1::7"))
	var got []string
	for p := range table.outermost(lite("127.0.0.0/8 10.0.0.0/8")).AllSorted() {
		got = append(got, p.String())
	}
	if want := []string{"192.0.2.0/24", "198.51.100.7/32", "2001:db8:1::/48"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func lite(list string) *bart.Lite {
	all := new(bart.Lite)
	for _, p := range prefixes(strings.Fields(list)...) {
		all.Insert(p)
	}
	return all
}

func text(changes []change) string {
	var all []string
	for _, c := range changes {
		sign := map[bool]string{true: "+", false: "-"}[c.add]
		all = append(all, fmt.Sprint(sign, c.prefix))
	}
	return strings.Join(all, " ")
}
