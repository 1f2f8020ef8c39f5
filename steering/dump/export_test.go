package dump

import "github.com/cilium/ebpf"

// Entries reads the entries of one map.
func Entries(m *ebpf.Map, spec *ebpf.MapSpec) []Entry {
	var read Map
	read.fill(m, spec)
	return read.Entries
}
