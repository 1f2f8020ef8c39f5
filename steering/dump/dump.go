package dump

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"

	"anyport/bpf"
	"anyport/steering/program"
)

// Program is one program in the kernel.
type Program struct {
	ID     uint32   `json:"id"`
	Name   string   `json:"name"`
	Tag    string   `json:"tag"`   // of its instructions
	Own    bool     `json:"own"`   // of anyport: then its maps follow
	Error  string   `json:"error"` // why something is missing
	Maps   []Map    `json:"-"`
	MapIDs []uint32 `json:"map_ids"`
}

// Map is one map of a program.
type Map struct {
	ID         uint32  `json:"id"`
	Name       string  `json:"name"`
	Type       string  `json:"type"`
	MaxEntries uint32  `json:"max_entries"`
	Flags      uint32  `json:"flags"`
	Withheld   string  `json:"withheld,omitempty"` // why there are no entries
	Error      string  `json:"error,omitempty"`    // why some are missing
	Truncated  bool    `json:"truncated"`          // there are more
	Entries    []Entry `json:"entries"`            // in arrays those that are not zero
}

// Entry is one entry of a map. Values of the network are addresses, and names are names; the rest is numbers, or
// hexadecimal digits where the type is not known.
type Entry struct {
	Key   any `json:"key"`
	Value any `json:"value"`
}

// Programs reads the sk_lookup programs in the network namespace of this thread. Those of anyport are named as
// steer.bpf.c names them.
func Programs() ([]Program, error) {
	attached, err := program.AttachedPrograms()
	if err != nil {
		return nil, err
	}
	spec, err := bpf.LoadSteer()
	if err != nil {
		return nil, err
	}
	all := []Program{} // [] in JSON, never null
	for _, a := range attached {
		p := Program{ID: a.ID, Name: a.Name, Own: a.Name == bpf.SteerProgSteer}
		if err := p.read(spec); err != nil {
			p.Error = program.Advise(err).Error()
		}
		all = append(all, p)
	}
	return all, nil
}

// read fills in what only CAP_SYS_ADMIN may read.
func (p *Program) read(spec *ebpf.CollectionSpec) error {
	loaded, err := ebpf.NewProgramFromID(ebpf.ProgramID(p.ID))
	if err != nil {
		return fmt.Errorf("open program %d: %w", p.ID, err)
	}
	defer loaded.Close()
	info, err := loaded.Info()
	if err != nil {
		return fmt.Errorf("read program %d: %w", p.ID, err)
	}
	p.Tag = info.Tag
	ids, _ := info.MapIDs()
	var errs []error
	for _, id := range ids {
		p.MapIDs = append(p.MapIDs, uint32(id))
		if p.Own {
			m, err := readMap(id, spec)
			p.Maps, errs = append(p.Maps, m), append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// readMap reads one map. Of one without a name in spec nothing is known but bytes.
func readMap(id ebpf.MapID, spec *ebpf.CollectionSpec) (Map, error) {
	m, err := ebpf.NewMapFromID(id)
	if err != nil {
		return Map{ID: uint32(id)}, fmt.Errorf("open map %d: %w", id, err)
	}
	defer m.Close()
	info, err := m.Info()
	if err != nil {
		return Map{ID: uint32(id)}, fmt.Errorf("read map %d: %w", id, err)
	}
	read := Map{ID: uint32(id), Name: info.Name, Type: m.Type().String(), MaxEntries: m.MaxEntries(), Flags: m.Flags(), Entries: []Entry{}}
	if read.Withheld = withheld(&read); read.Withheld == "" {
		read.fill(m, spec.Maps[info.Name])
	}
	return read, nil
}

// withheld says why the entries of a map are not for others; "": they are.
func withheld(m *Map) string {
	if strings.HasPrefix(m.Name, "knock") {
		return "whoever reads the maps of knocks may open doors"
	}
	if m.Type == ebpf.RingBuf.String() {
		return "a ring buffer has no entries"
	}
	return ""
}
