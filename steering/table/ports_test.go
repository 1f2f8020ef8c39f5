package table_test

import (
	"net/netip"
	"testing"

	"anyport/steering/internal/tabletest"
	"anyport/steering/table"
)

// TestPortRuns: the runs cover every port once, and say of each what Decide says.
func TestPortRuns(t *testing.T) {
	for seed := range uint64(40) {
		d := tabletest.NewDice(seed)
		compiled, err := table.Compile(d.Config())
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			protocol, dst := d.Protocol(), d.Dst()
			prefix, runs, ok := compiled.PortRuns(protocol, dst.Addr())
			if ok != compiled.Holder(dst.Addr()).IsValid() || prefix != compiled.Holder(dst.Addr()) {
				t.Fatalf("seed %d: %v: prefix %v, %t", seed, dst, prefix, ok)
			}
			next := 0
			for i, run := range runs {
				if int(run.Ports.First) != next || run.Ports.Last < run.Ports.First {
					t.Fatalf("seed %d: run %d is %v, want one from port %d on", seed, i, run.Ports, next)
				}
				if i > 0 && runs[i-1].Verdict == run.Verdict && runs[i-1].Route == run.Route {
					t.Fatalf("seed %d: runs %d and %d are bound to the same", seed, i-1, i)
				}
				for port := next; port <= int(run.Ports.Last); port += 97 {
					got := compiled.Decide(protocol, netip.AddrPortFrom(dst.Addr(), uint16(port)), netip.Addr{})
					if got.Verdict != run.Verdict || got.Route != run.Route {
						t.Fatalf("seed %d: %v port %d: %v, and Decide says %v", seed, dst.Addr(), port, run, got)
					}
				}
				next = int(run.Ports.Last) + 1
			}
			if ok && next != 65536 {
				t.Fatalf("seed %d: the runs end at port %d", seed, next-1)
			}
		}
	}
}
