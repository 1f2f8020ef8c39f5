package table

import (
	"fmt"
	"net/netip"
	"time"

	"anyport/config"
)

// keepsFlows: the flows of the proxy come through one socket, where the kernel can't tell a datagram of
// a live flow from the first of a new one. What goes to other sockets is not the proxy's to judge.
func keepsFlows(r *config.Route) bool {
	return len(r.Active) > 0 && r.OnInactive == config.KeepConns && r.Action == config.Forward
}

// DecideAt is Decide at a given time: a route that is not in force then does not let in the clients
// that it admits otherwise.
func (t *Table) DecideAt(protocol config.Protocol, dst netip.AddrPort, client netip.Addr, at time.Time) Decision {
	d := t.Decide(protocol, dst, client)
	if d.Route != nil && d.Verdict != Deny && !d.Route.Active.Contains(at) {
		d.Verdict = Inactive
	}
	return d
}

// hoursReason says whether the route is in force, and until when.
func hoursReason(r *config.Route, at time.Time) []string {
	if len(r.Active) == 0 {
		return nil
	}
	next, changes := r.Active.Next(at)
	until := " from then on"
	if changes {
		until = " until " + next.In(at.Location()).Format(time.RFC3339)
	}
	when := at.Format(time.RFC3339)
	if r.Active.Contains(at) {
		return []string{fmt.Sprintf("active of route %q holds %s: it is in force%s", r.Name, when, until)}
	}
	return []string{fmt.Sprintf("active of route %q does not hold %s: it is not in force%s; inactive = %q", r.Name, when, until, r.Inactive)}
}
