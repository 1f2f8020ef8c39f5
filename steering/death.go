package steering

import (
	"fmt"
	"net/netip"
	"slices"

	"anyport/config"

	"github.com/gaissmai/bart"
)

// OnDeath is what clients of served addresses meet when the process is killed, until there
// is another one.
type OnDeath string

// What they can meet.
const (
	Refused     OnDeath = "refused"     // the steering is pinned, and its slots are empty
	Unreachable OnDeath = "unreachable" // the local routes end with the process
	Exposed     OnDeath = "exposed"     // of some prefixes the host's own listeners: others keep them local
)

// judgeDeath finds the prefixes that would lead to the host's own listeners, and warns of
// them when they change.
func (s *Steering) judgeDeath() {
	before := s.exposed
	s.exposed = nil
	if s.pins == nil {
		s.exposed = exposed(s.asked, s.routes.mortal())
	}
	if len(s.exposed) > 0 && !slices.Equal(before, s.exposed) {
		s.log.Warn("other local routes than those of anyport lead here, and nothing is pinned: when this process dies, the host's own listeners answer on these prefixes; anyport doctor says how to prevent it",
			"first", s.exposed[0], "prefixes", len(s.exposed))
	}
}

// exposed are the prefixes of table that are local whether or not mine are, except for
// loopback addresses, which nobody else reaches.
func exposed(table *Table, mine *bart.Lite) (all []netip.Prefix) {
	for p := range table.outermost(mine).AllSorted() {
		if !p.Addr().IsLoopback() {
			all = append(all, p)
		}
	}
	return all
}

func (s *Steering) onDeath() OnDeath {
	switch {
	case s.pins != nil:
		return Refused
	case len(s.exposed) > 0:
		return Exposed
	}
	return Unreachable
}

// Entrust gives what is pinned to the user that this process becomes, for an upgrade and an
// orderly stop change it. Who is not root cannot remove the empty directory itself.
func (s *Steering) Entrust(uid, gid int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed() || s.pins == nil {
		return nil
	}
	return s.pins.entrust(uid, gid)
}

// Pinned reports whether the steering is pinned.
func (s *Steering) Pinned() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pins != nil
}

// openTUN has the local routes end with this process, unless it pins the steering.
func (s *Steering) openTUN(cfg *config.Config, table *Table, in Inheritance) (err error) {
	if s.pins != nil { // a device that was needed before there were pins ends when no route refers to it
		return nil
	}
	fd, inherited := in.take(fdTUN)
	switch {
	case inherited:
		s.routes.tun, err = inheritTUN(s.routes.handle, fd)
	case cfg.Steering.ManageRoutes:
		s.routes.tun, err = openTUN(s.routes.handle)
	}
	if err != nil && (s.outlives || len(exposed(table, new(bart.Lite))) == 0) { // the process before did without, or there is nothing to expose
		s.log.Warn("the local routes do not end with this process", "error", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("have the local routes end with this process: %w", err)
	}
	return nil
}
