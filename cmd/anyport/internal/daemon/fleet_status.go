package daemon

import (
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// fleetStatus is this host's part in a fleet, in the words of the admin API; nil if the routes are the file's.
func (d *daemon) fleetStatus() *admin.FleetStatus {
	g, f := d.serving.Load(), &d.fleet
	if f.follower == nil {
		return nil
	}
	contact := f.follower.Status()
	f.mu.Lock()
	state := f.state
	f.mu.Unlock()
	name, _ := hostName(g.config.Fleet) // as at the start
	s := &admin.FleetStatus{
		Source: g.config.Fleet.Source, Host: name, Up: contact.Up, Problem: contact.Problem,
		Table: string(g.source), Wanted: string(contact.Wanted.Table), Trial: contact.Wanted.Trial, Serial: contact.Wanted.Serial,
		Refused: string(state.refused), RefusedWhy: state.why, RefusedTotal: state.count,
		Reports: contact.Joined, ReportProblem: contact.ReportProblem, NameTaken: contact.NameTaken, DiskProblem: f.disk.Problem(),
	}
	if g.source != "" {
		s.TableSince = &g.loaded
	}
	if !contact.Contact.IsZero() {
		age := time.Since(contact.Contact).Seconds()
		s.ContactSeconds = &age
	}
	if contact.FetchProblem != "" {
		s.Problem = contact.FetchProblem
	}
	return s
}
