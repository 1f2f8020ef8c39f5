package table_test

import (
	"net/netip"
	"testing"

	"anyport/config"
	"anyport/steering/internal/tabletest"
	"anyport/steering/table"
)

// TestSplitUDP: two random tables are split if any dst is, as a lookup of each dst finds.
func TestSplitUDP(t *testing.T) {
	toHost := map[table.Verdict]bool{table.Pass: true, table.Socket: true}
	found := map[bool]int{}
	for seed := range uint64(400) {
		d := tabletest.NewDice(seed)
		a, b := tabletest.Compile(t, d.Config().Routes...), tabletest.Compile(t, d.Config().Routes...)
		_, split := table.SplitUDP(a, b)
		for range 300 {
			dst := d.Dst()
			one, served := a.Judge(config.UDP, dst, netip.Addr{})
			other, servedToo := b.Judge(config.UDP, dst, netip.Addr{})
			differs := one.Verdict == table.Steer && toHost[other.Verdict] || other.Verdict == table.Steer && toHost[one.Verdict]
			if served && servedToo && differs && !split {
				t.Fatalf("tables %d: %s: %s and %s, and SplitUDP has not found it", seed, dst, one.Verdict, other.Verdict)
			}
		}
		found[split]++
	}
	one := tabletest.Route("one", "1-1023", "192.0.2.0/24")
	one.Protocols = []config.Protocol{config.UDP}
	other := tabletest.Route("other", "53", "192.0.2.0/25")
	other.Protocols, other.Action = one.Protocols, config.Pass
	if dst, split := table.SplitUDP(tabletest.Compile(t, one), tabletest.Compile(t, other, one)); !split || dst != netip.MustParseAddrPort("192.0.2.0:53") {
		t.Errorf("%s, %v", dst, split)
	}
	if dst, split := table.SplitUDP(tabletest.Compile(t, one), tabletest.Compile(t, one)); split {
		t.Errorf("a table and itself are split at %s", dst)
	}
	if found[true] < 50 || found[false] < 50 {
		t.Errorf("split: %v", found)
	}
}
