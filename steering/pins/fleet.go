package pins

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf/link"

	"anyport/steering/fleet"
)

// Of the fleet, the links are pinned: they hold the programs, and these the maps. So packets of conns of
// other hosts go on to them while no process runs, and are not reset. The next process puts its own programs
// into the links.
const fleetLink = "fleet_link_" // the name of the program, _, and the interface index

// isFleet reports whether a file is of the fleet.
func isFleet(name string) bool { return strings.HasPrefix(name, fleetLink) }

// fleetFile is the file of a link that the fleet names "ask_peers/2"; fleetName is the opposite.
func fleetFile(name string) string { return fleetLink + strings.ReplaceAll(name, "/", "_") }

func fleetName(file string) string {
	name := strings.TrimPrefix(file, fleetLink)
	if i := strings.LastIndexByte(name, '_'); i >= 0 {
		return name[:i] + "/" + name[i+1:]
	}
	return name
}

// KeepFleet pins the links of the fleet, and removes the files of those that there are no more. It pins nothing
// where the steering is not pinned.
func (p *Dir) KeepFleet(links map[string]link.Link) error {
	if p == nil || !p.Saved {
		return nil
	}
	names, err := p.Names()
	if err != nil {
		return fmt.Errorf("steering.pin: %w", err)
	}
	wanted := map[string]link.Link{}
	for name, l := range links {
		wanted[fleetFile(name)] = l
	}
	var errs []error
	for file, l := range wanted {
		if p.fleet[file] == l && slices.Contains(names, file) {
			continue
		}
		errs = append(errs, l.Unpin(), p.removeFile(file), l.Pin(p.FDPath(file))) // the file may be of a link that is dead
	}
	for _, name := range names {
		if isFleet(name) && wanted[name] == nil {
			errs = append(errs, p.removeFile(name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("steering.pin: pin the fleet's links: %w", err)
	}
	p.fleet = maps.Clone(wanted)
	return nil
}

// LoadFleet opens the links of the fleet that are pinned; nil: there are none.
func (p *Dir) LoadFleet() (*fleet.Objects, error) {
	if p == nil || !p.Saved {
		return nil, nil
	}
	names, err := p.Names()
	if err != nil {
		return nil, fmt.Errorf("steering.pin: %w", err)
	}
	links := map[string]link.Link{}
	for _, name := range names {
		if !isFleet(name) {
			continue
		}
		l, err := link.LoadPinnedLink(p.FDPath(name), nil)
		if err != nil {
			return nil, fmt.Errorf("steering.pin: load %s: %w", p.DisplayName(name), err)
		}
		links[fleetName(name)] = l
	}
	return fleet.FromLinks(links)
}

// RemoveFleet unpins the links of the fleet.
func (p *Dir) RemoveFleet() error { return p.KeepFleet(nil) }
