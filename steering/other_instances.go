package steering

import (
	"fmt"
	"slices"

	"github.com/gaissmai/bart"

	"anyport/steering/host"
	"anyport/steering/instances"
	"anyport/steering/table"
)

// otherInstances are the instances of anyport in this namespace. Only one whose program is attached
// serves; the process that this one takes over from has the same program.
func (s *Steering) otherInstances() ([]instances.Instance, error) {
	foreign, known, err := s.foreignPrograms()
	if err != nil {
		return nil, err
	}
	if known && len(foreign) == 0 {
		return nil, nil
	}
	own, err := s.ownPrograms()
	if err != nil {
		return nil, err
	}
	except := ""
	if s.announcement != nil {
		except = s.announcement.Name
	}
	all, err := instances.List(except)
	return slices.DeleteFunc(all, func(i instances.Instance) bool {
		return slices.Contains(own, i.Program) || known && !slices.Contains(foreign, i.Program)
	}), err
}

// checkOverlap refuses a table that takes prefixes which another instance serves: which of
// the two gets a packet would depend on which was started first.
func (s *Steering) checkOverlap(table *table.Table) error {
	others, err := s.otherInstances()
	if err != nil {
		return err
	}
	return overlapOf(table, others)
}

// overlapOf is the decision of checkOverlap.
func overlapOf(table *table.Table, others []instances.Instance) error {
	for _, other := range others {
		for _, p := range other.Prefixes {
			if table.Overlaps(p) {
				return fmt.Errorf("another anyport (pid %d, %s) serves %s in this network namespace: stop it, or serve other prefixes than it does", other.PID, other.Config, p)
			}
		}
	}
	return nil
}

// adoptRoutes takes over the local routes that other processes left.
func (s *Steering) adoptRoutes(table *table.Table) error {
	left, err := s.leftRoutes(table)
	if err != nil {
		return err
	}
	return s.routes.Adopt(left)
}

// leftRoutes lists the local routes that other processes left: those that have the protocol
// number of anyport and are not of an instance that lives. Where programs are attached that
// no living instance has, which may be pinned, it lists only those that table serves.
func (s *Steering) leftRoutes(table *table.Table) (left []host.LocalRoute, err error) {
	foreign, _, err := s.foreignPrograms()
	if err != nil {
		return nil, err
	}
	others, err := s.otherInstances()
	if err != nil {
		return nil, err
	}
	strangers := slices.DeleteFunc(foreign, func(id uint32) bool {
		return slices.ContainsFunc(others, func(i instances.Instance) bool { return i.Program == id })
	})
	if len(strangers) > 0 {
		s.log.Warn("other sk_lookup programs are attached: a socket that one of them chooses wins, and local routes of other prefixes are left",
			"programs", strangers, "hint", "if a dead anyport has pinned one: anyport unload")
	}
	theirs := claimed(others)
	err = s.routes.List(func(r host.LocalRoute) {
		asked := table.Serves(r.Prefix)
		if r.Ours && !theirs.LookupPrefix(r.Prefix) && (asked || len(strangers) == 0) {
			left = append(left, r)
		}
	})
	return left, err
}

// claimed are all prefixes of the instances.
func claimed(all []instances.Instance) *bart.Lite {
	prefixes := new(bart.Lite)
	for _, i := range all {
		for _, p := range i.Prefixes {
			prefixes.Insert(p)
		}
	}
	return prefixes
}

// updateAnnouncement has other instances learn what is in service. The prefixes are only listed
// when one of them asks.
func (s *Steering) updateAnnouncement() error {
	id, err := s.programID()
	if err != nil {
		return err
	}
	_, device := s.routes.Device()
	n := &instances.Notice{Device: device, Config: s.config.Path, Program: uint32(id), Prefixes: s.requested.SortedPrefixes()}
	for p := range s.retired { // while a table is on trial, with all that only one of the two has
		n.Retired = append(n.Retired, p)
	}
	s.announcement.Update(n)
	return nil
}
