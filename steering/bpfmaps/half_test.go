package bpfmaps

import (
	"testing"

	"anyport/steering/internal/tabletest"
)

func TestFits(t *testing.T) {
	limited := tabletest.Route("b", "2", "192.0.2.1")
	limited.NewConnsPerSecond = 5
	table := tabletest.Compile(t, tabletest.Route("a", "1", "192.0.2.1"), limited)
	for _, test := range []struct {
		half Half
		want string
	}{
		{Half{Intervals: 5, Bindings: 3, Trie: 1, Admissions: 50}, ""},
		{Half{Intervals: 4, Bindings: 3}, "the routes make 5 port intervals and the running program has room for 4: restart it, after `anyport unload` where steering.pin is set"},
		{Half{Intervals: 5, Bindings: 2}, "there are 2 routes and the running program has room for 1: restart it, after `anyport unload` where steering.pin is set"},
		{Half{Intervals: 5, Bindings: 3, Admissions: 50}, "there are 1 IPv4 prefixes and the kernel's tables have room for 0: join neighbours, or split the file between hosts"},
		{Half{Intervals: 5, Bindings: 3, Admissions: 49}, "the routes with new_conns_per_second have 50 conns and flows to remember and the running program has room for 49: set max_flows to less, or restart it, after `anyport unload` where steering.pin is set"},
	} {
		got := ""
		if err := test.half.fits(table); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
