package steering

import (
	"errors"
	"maps"
	"net/netip"
	"time"

	"anyport/config"
	"anyport/steering/bpfmaps"
	"anyport/steering/table"
)

// trial is a table that serves some clients from the half of the maps that is otherwise idle. Each of the two halves has
// the prefixes of both tables: what only the other one serves is there as if it were retired. So no packet to a
// prefix that one of them serves reaches the host's own listeners, whenever the trial ends.
type trial struct {
	share      Share
	config     *config.Config
	requested  *table.Table
	table      *table.Table // requested, with the prefixes that only the other table has
	numbers    map[string]uint32
	validUntil map[string]uint64
	removed    map[netip.Prefix]time.Time // prefixes that only the table before has; the times are untilTrialEnds
	added      map[netip.Prefix]time.Time // prefixes that only this one has
}

var errOnTrial = errors.New("a table or a process is on trial")

// untilTrialEnds is the end of what stays local until the trial has ended.
var untilTrialEnds = time.Unix(1<<40, 0)

// tableOf is the table that serves a client; the one before a trial for a client that is not known.
func (s *Steering) tableOf(client netip.Addr) *table.Table {
	if s.trial != nil && client.IsValid() && s.trial.share.Takes(client) {
		return s.trial.table
	}
	return s.table
}

// allNumbers are the numbers of the routes in service, those of a table on trial included.
func (s *Steering) allNumbers() map[string]uint32 {
	if s.trial == nil {
		return s.numbers
	}
	all := maps.Clone(s.trial.numbers)
	maps.Copy(all, s.numbers)
	return all
}

// allRoutes are the routes in service, and those that only a table on trial has.
func (s *Steering) allRoutes() []*config.Route {
	if s.trial == nil {
		return s.config.Routes
	}
	all := append([]*config.Route{}, s.config.Routes...)
	for _, r := range s.trial.config.Routes {
		if _, serving := s.numbers[r.Name]; !serving {
			all = append(all, r)
		}
	}
	return all
}

// compareTrial is Drift of the table on trial.
func (s *Steering) compareTrial(d *bpfmaps.Differences) error {
	t := s.trial
	if t == nil {
		return nil
	}
	half := s.half(s.generation + 1)
	half.ValidUntil = t.validUntil
	return half.Compare(d, t.table, t.numbers)
}
