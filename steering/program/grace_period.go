package program

import (
	"fmt"

	"github.com/cilium/ebpf"
)

// GracePeriod waits until every run of a BPF program that has begun is over: an RCU grace
// period. The kernel waits for one after each update of a map of maps (since Linux
// 4.20) and offers no shorter way: membarrier(2) is refused where nohz_full is on.
type GracePeriod struct{ Outer, Inner *ebpf.Map }

// NewGracePeriod makes the two maps, of one entry each.
func NewGracePeriod() (*GracePeriod, error) {
	liftMemlock() // a process that goes on with pins loads nothing before
	spec := &ebpf.MapSpec{Name: "grace_inner", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	inner, err := ebpf.NewMap(spec)
	if err != nil {
		return nil, fmt.Errorf("create map %s: %w", spec.Name, err)
	}
	outer, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "grace", Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, InnerMap: spec,
	})
	if err != nil {
		inner.Close()
		return nil, fmt.Errorf("create map grace: %w", err)
	}
	return &GracePeriod{outer, inner}, nil
}

// Wait returns when every run of a program that had begun before is over.
func (g *GracePeriod) Wait() error {
	return g.Outer.Put(uint32(0), g.Inner)
}

func (g *GracePeriod) close() {
	if g != nil {
		g.Outer.Close()
		g.Inner.Close()
	}
}
