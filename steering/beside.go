package steering

import (
	"fmt"
	"slices"

	"github.com/gaissmai/bart"
)

// others are the instances of anyport beside this one. Only one whose program is attached
// serves; the process that this one takes over from has the same program.
func (s *Steering) others() ([]Instance, error) {
	foreign, known, err := s.foreign()
	if err != nil {
		return nil, err
	}
	if known && len(foreign) == 0 {
		return nil, nil
	}
	own, err := s.programs()
	if err != nil {
		return nil, err
	}
	except := ""
	if s.presence != nil {
		except = s.presence.name
	}
	all, err := instances(except)
	return slices.DeleteFunc(all, func(i Instance) bool {
		return slices.Contains(own, i.Program) || known && !slices.Contains(foreign, i.Program)
	}), err
}

// checkBeside refuses a table that takes prefixes which another instance serves: which of
// the two gets a packet would depend on which was started first.
func (s *Steering) checkBeside(table *Table) error {
	others, err := s.others()
	if err != nil {
		return err
	}
	return judgeBeside(table, others)
}

func judgeBeside(table *Table, others []Instance) error {
	for _, other := range others {
		for _, p := range other.Prefixes {
			if table.overlaps(p) {
				return fmt.Errorf("another anyport (pid %d, %s) serves %s in this network namespace: stop it, or serve other prefixes than it does", other.PID, other.Config, p)
			}
		}
	}
	return nil
}

// adoptRoutes takes over the local routes that other processes left.
func (s *Steering) adoptRoutes(table *Table) error {
	left, err := s.leftRoutes(table)
	if err != nil {
		return err
	}
	return s.routes.adopt(left)
}

// leftRoutes lists the local routes that other processes left: those that have the protocol
// number of anyport and are not of an instance that lives. Where programs are attached that
// no living instance has, which may be pinned, it lists those alone that table serves.
func (s *Steering) leftRoutes(table *Table) (left []localRoute, err error) {
	foreign, _, err := s.foreign()
	if err != nil {
		return nil, err
	}
	others, err := s.others()
	if err != nil {
		return nil, err
	}
	strangers := slices.DeleteFunc(foreign, func(id uint32) bool {
		return slices.ContainsFunc(others, func(i Instance) bool { return i.Program == id })
	})
	if len(strangers) > 0 {
		s.log.Warn("other sk_lookup programs are attached here; a socket that one of them chooses wins, and the local routes of prefixes that are not served here are left; what an anyport that is gone has pinned ends with: anyport unload", "programs", strangers)
	}
	theirs := claimed(others)
	err = s.routes.list(func(r localRoute) {
		asked := table.serves(r.prefix)
		if r.ours && !theirs.LookupPrefix(r.prefix) && (asked || len(strangers) == 0) {
			left = append(left, r)
		}
	})
	return left, err
}

// claimed are all prefixes of the instances.
func claimed(all []Instance) *bart.Lite {
	prefixes := new(bart.Lite)
	for _, i := range all {
		for _, p := range i.Prefixes {
			prefixes.Insert(p)
		}
	}
	return prefixes
}

// announce tells other instances what is in service.
func (s *Steering) announce() error {
	id, err := s.programID()
	if err != nil {
		return err
	}
	_, device := s.routes.device()
	n := &notice{device: device, config: s.config.Path, program: uint32(id), table: s.asked}
	for p := range s.gone {
		n.gone = append(n.gone, p)
	}
	s.presence.notice.Store(n)
	return nil
}
