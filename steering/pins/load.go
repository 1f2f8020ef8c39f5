package pins

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"anyport/bpf"
	"anyport/steering/program"
)

// Load opens what is pinned, which may be nothing, or what a crash has left half done. It refuses
// what is not ours. On error it returns what is to be closed.
func (p *Dir) Load() (e program.Loaded, err error) {
	entries, err := os.ReadDir(p.FDPath("."))
	if err != nil || len(entries) == 0 {
		return e, err
	}
	e.Program, err = ebpf.LoadPinnedProgram(p.FDPath(bpf.SteerProgSteer), nil)
	if errors.Is(err, fs.ErrNotExist) {
		return e, p.notOurs(entries[0].Name(), errors.New("there is no steering program with it"))
	}
	if err != nil {
		return e, p.notOurs(bpf.SteerProgSteer, err)
	}
	info, err := e.Program.Info()
	if err != nil {
		return e, err
	}
	if info.Type != ebpf.SkLookup || info.Name != bpf.SteerProgSteer {
		return e, p.notOurs(bpf.SteerProgSteer, fmt.Errorf("the program is %s, of type %v", info.Name, info.Type))
	}
	ids, _ := info.MapIDs()
	e.Maps = make(map[string]*ebpf.Map)
	for _, entry := range entries {
		switch name := entry.Name(); {
		case name == bpf.SteerProgSteer || IsListener(name) || isFast(name) || isFleet(name):
		case name == LinkName:
			e.Link, err = loadLink(p.FDPath(name))
		case name == program.SavedMap:
			e.Maps[name], err = loadChecked(p.FDPath(name), program.CheckSaved)
		case name == bpf.SteerMapKnockNonces:
			e.Maps[name], err = loadChecked(p.FDPath(name), program.CheckNonces)
		default:
			e.Maps[name], err = loadMap(p.FDPath(name), ids)
		}
		if err != nil {
			return e, p.notOurs(entry.Name(), err)
		}
	}
	return e, nil
}

// loadLink refuses a link of another kind.
func loadLink(path string) (*link.NetNsLink, error) {
	l, err := link.LoadPinnedLink(path, nil)
	if err != nil {
		return nil, err
	}
	return program.AsNetNsLink(l)
}

// loadChecked wants a map that only processes use: the program does not name it.
func loadChecked(path string, check func(*ebpf.Map) error) (*ebpf.Map, error) {
	m, err := ebpf.LoadPinnedMap(path, nil)
	if err != nil {
		return nil, err
	}
	if err := check(m); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// loadMap wants one of the maps that the program uses.
func loadMap(path string, used []ebpf.MapID) (*ebpf.Map, error) {
	m, err := ebpf.LoadPinnedMap(path, nil)
	if err != nil {
		return nil, err
	}
	info, err := m.Info()
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	if id, ok := info.ID(); !ok || !slices.Contains(used, id) {
		return nil, errors.Join(errors.New("the pinned program does not use this map"), m.Close())
	}
	return m, nil
}

// notOurs never removes what it names: another program may be using it.
func (p *Dir) notOurs(name string, err error) error {
	return fmt.Errorf("steering.pin: %s is not anyport's: %w: name another directory, or remove it", p.DisplayName(name), err)
}
