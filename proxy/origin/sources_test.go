package origin

import (
	"maps"
	"net/netip"
	"sync"
	"testing"
)

// TestSourcePorts counts conns from several sources on many goroutines, and ends them: the numbers are
// right at each stage, and there is a bound on how many addresses are counted.
func TestSourcePorts(t *testing.T) {
	o := &Origin{counts: &counts{}}
	addr := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}) }
	const each, addresses = 1000, 3
	var all sync.WaitGroup
	numbers := [addresses][each]uint16{}
	for a := range addresses {
		all.Go(func() {
			for i := range each {
				numbers[a][i] = o.BeginFrom(addr(a))
			}
		})
	}
	all.Wait()
	if want := map[netip.Addr]int64{addr(0): each, addr(1): each, addr(2): each}; !maps.Equal(o.SourcePorts(), want) {
		t.Errorf("got %v, want %v", o.SourcePorts(), want)
	}
	for _, n := range numbers[1] {
		o.EndFrom(n)
	}
	o.EndFrom(0)
	if want := map[netip.Addr]int64{addr(0): each, addr(1): 0, addr(2): each}; !maps.Equal(o.SourcePorts(), want) {
		t.Errorf("got %v, want %v", o.SourcePorts(), want)
	}
	for n := range 2 * sourcesMost {
		o.EndFrom(o.BeginFrom(addr(n)))
	}
	if n := len(o.SourcePorts()); n != sourcesMost {
		t.Errorf("%d addresses are counted, want %d", n, sourcesMost)
	}
}
