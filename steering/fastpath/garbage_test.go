//go:build !race

// The race detector has allocations of its own.

package fastpath

import (
	"testing"
	"time"
)

// TestAdmitGarbage: with 100,000 flows what each leaves behind would double the memory of the process.
func TestAdmitGarbage(t *testing.T) {
	r := newRig(t)
	p := r.open()
	f := ends["IPv4"]
	f.Idle = time.Hour
	for full, errors := range map[bool]float64{false: 0, true: 2} { // of the small table, which does not have the entry
		if p.table.usesMany = false; full {
			r.check(p.table.useMany())
		}
		if n := testing.AllocsPerRun(100, func() {
			p.table.fewIsFull = full
			r.check(p.Admit(f))
			p.Leave(f)
			p.Remove(f)
		}); n > errors {
			t.Errorf("the small table is full: %v; a flow leaves %v objects behind", full, n)
		}
	}
}
