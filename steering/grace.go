package steering

import (
	"fmt"

	"github.com/cilium/ebpf"
)

// grace waits until every run of a BPF program that has begun is over: an RCU grace
// period. The kernel waits for one after each update of a map of maps (since Linux
// 4.20) and offers no shorter way: membarrier(2) is refused where nohz_full is on.
type grace struct{ outer, inner *ebpf.Map }

func newGrace() (*grace, error) {
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
	return &grace{outer, inner}, nil
}

func (g *grace) wait() error {
	return g.outer.Put(uint32(0), g.inner)
}

func (g *grace) close() {
	if g != nil {
		g.outer.Close()
		g.inner.Close()
	}
}
