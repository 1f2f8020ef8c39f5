package table_test

import (
	"slices"
	"testing"

	"anyport/steering/internal/tabletest"
)

func TestOutermost(t *testing.T) {
	table := tabletest.Compile(t,
		tabletest.Route("net", "1-65535", "192.0.2.0/24", "127.8.0.0/16", "2001:db8:1::/48"),
		tabletest.Route("host", "80", "192.0.2.7", "198.51.100.7", "2001:db8:1::7"))
	var got []string
	for p := range table.Outermost(tabletest.Lite("127.0.0.0/8 10.0.0.0/8")).AllSorted() {
		got = append(got, p.String())
	}
	if want := []string{"192.0.2.0/24", "198.51.100.7/32", "2001:db8:1::/48"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
