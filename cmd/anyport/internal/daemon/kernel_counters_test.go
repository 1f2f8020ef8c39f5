package daemon

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"anyport/cmd/anyport/internal/saved"
	"anyport/proxy"
	"anyport/steering"
	"anyport/steering/table"
)

// TestKernelCounters: over processes with the same program the kernel goes on counting; over one with
// another program, what was shown last is added.
func TestKernelCounters(t *testing.T) {
	counts := saved.Counts{}
	for n, step := range []struct {
		program uint32
		kernel  uint64 // that it has counted
		want    uint64
	}{
		{7, 10, 10},
		{7, 15, 15}, // another process, the same program
		{8, 2, 17},
		{8, 3, 18},
		{9, 0, 18},
		{7, 1, 19}, // with an id that was used before
	} {
		var k kernelCounters
		k.add(counted("web", 99)) // before anything is kept, nothing is added
		k.restore(counts, step.program)
		now := counted("web", step.kernel)
		k.add(now)
		if got := now[0].Verdicts[table.Steer]; got != step.want {
			t.Errorf("step %d: %d, want %d", n, got, step.want)
		}
		sum := map[table.Verdict]uint64{table.Steer: step.kernel}
		if k.addSum(sum); sum[table.Steer] != step.want {
			t.Errorf("step %d: the sum is %d, want %d", n, sum[table.Steer], step.want)
		}
		k.addSum(nil)
		k.add(nil) // of a steering that is closed
		counts = saved.Counts{}
		k.each(func(id proxy.CounterID, n uint64) {
			if !saved.Latest(id) {
				t.Errorf("%v would be added up", id)
			}
			counts[id] = n
		})
		k.only(map[string]bool{"web": true})
	}
	var k kernelCounters
	k.restore(counts, 1)
	k.add(counted("web", 1))
	k.only(map[string]bool{"other": true})
	left := saved.Counts{}
	k.each(func(id proxy.CounterID, n uint64) { left[id] = n })
	if diff := cmp.Diff(saved.Counts{{Key: keyProgram}: 1}, left); diff != "" {
		t.Errorf("of a route that is not served any more, -want +got:\n%s", diff)
	}
}

// counted is one route as the kernel counts it.
func counted(route string, n uint64) []steering.Counters {
	return []steering.Counters{{Route: route, Verdicts: map[table.Verdict]uint64{table.Steer: n}}}
}
