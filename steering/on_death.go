package steering

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/steering/host"
	"anyport/steering/pins"
	"anyport/steering/table"
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

// checkExposed finds the prefixes that would lead to the host's own listeners, and warns of
// them when they change.
func (s *Steering) checkExposed() {
	before := s.exposedPrefixes
	s.exposedPrefixes = nil
	if s.pins == nil {
		s.exposedPrefixes = exposed(s.requested, s.routes.EndingWithProcess())
	}
	if len(s.exposedPrefixes) > 0 && !slices.Equal(before, s.exposedPrefixes) {
		s.log.Warn("the host's own listeners would answer on served prefixes if this process died: others have made these local, and nothing is pinned",
			"first", s.exposedPrefixes[0], "prefixes", len(s.exposedPrefixes), "hint", "anyport doctor says how to prevent it")
	}
}

// exposed are the prefixes of table that are local whether or not mine are, except for
// loopback addresses, which nobody else reaches.
func exposed(table *table.Table, mine *bart.Lite) (all []netip.Prefix) {
	for p := range table.Outermost(mine).AllSorted() {
		if !p.Addr().IsLoopback() {
			all = append(all, p)
		}
	}
	return all
}

// onDeath says which holds now. Without pins and without exposed prefixes, the tun device or the
// absence of routes makes the addresses unreachable.
func (s *Steering) onDeath() OnDeath {
	switch {
	case s.pins != nil:
		return Refused
	case len(s.exposedPrefixes) > 0:
		return Exposed
	}
	return Unreachable
}

// ChownPins gives what is pinned to the user that this process becomes, because an upgrade and
// an orderly stop change it. Only root can remove the empty directory itself.
func (s *Steering) ChownPins(uid, gid int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() || s.pins == nil {
		return nil
	}
	return s.pins.Chown(uid, gid)
}

// Pinned reports whether the steering is pinned.
func (s *Steering) Pinned() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pins != nil
}

// openTUN has the local routes end with this process, unless it pins the steering.
func (s *Steering) openTUN(cfg *config.Config, table *table.Table, in Inheritance) (err error) {
	if s.pins != nil { // a device that was needed before there were pins ends when no route refers to it
		return nil
	}
	fd, inherited := in.take(fdTUN)
	switch {
	case inherited:
		err = s.routes.InheritTUN(fd)
	case cfg.Steering.ManageRoutes:
		err = s.routes.OpenTUN()
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

// Forecast is what would keep the host's listeners away from clients, if a process with a
// config is killed.
type Forecast struct {
	Pin    string  // the directory; "": nothing is to be pinned
	PinErr error   // why nothing can be pinned there
	TUNErr error   // why there cannot be a device that ends with the process; nil where none is needed
	Then   OnDeath // "": the process would refuse to start
}

// ForecastDeath looks at the host from the network namespace of this thread, and changes nothing.
func ForecastDeath(cfg *config.Config) (Forecast, error) {
	var ns unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &ns); err != nil {
		return Forecast{}, fmt.Errorf("read about this network namespace: %w", err)
	}
	at := pins.PlaceOf(cfg, ns.Ino)
	f := Forecast{Pin: at.Path}
	if at.Path != "" {
		f.PinErr = at.Usable()
	}
	switch {
	case at.Path != "" && f.PinErr == nil:
		f.Then = Refused
	case !at.Auto && f.PinErr != nil: // an explicit place must do
	case !cfg.Steering.ManageRoutes:
		f.Then = Exposed
	default:
		if f.TUNErr = host.TryTUN(); f.TUNErr == nil {
			f.Then = Unreachable
		}
	}
	return f, nil
}
