package program

import "github.com/cilium/ebpf"

// MapSizes are the sizes of the program's maps by name.
func MapSizes(program *ebpf.Program) (map[string]uint32, error) {
	info, err := program.Info()
	if err != nil {
		return nil, err
	}
	ids, _ := info.MapIDs()
	sizes := make(map[string]uint32)
	for _, id := range ids {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			return nil, err
		}
		if info, err := m.Info(); err == nil {
			sizes[info.Name] = info.MaxEntries
		}
		m.Close()
	}
	return sizes, nil
}

// room returns twice n, but no less than least.
func room(n, least int) uint32 { return uint32(max(2*n, least)) }
