package daemon

import (
	"context"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/fleet"
	"anyport/proxy"
	"anyport/steering/announce"
	"anyport/steering/table"
)

// report is what this host tells the fleet. The follower calls it every few seconds.
func (d *daemon) report() fleet.Report {
	g, f := d.serving.Load(), &d.fleet
	f.mu.Lock()
	state := f.state
	f.mu.Unlock()
	announced := d.announcing()
	r := fleet.Report{
		Version: d.opt.Version, Table: g.source, Since: g.loaded.UTC().Truncate(time.Second), Serial: state.serial, Generation: g.number,
		Began: d.begun.UTC().Truncate(time.Second), Instance: d.instance, Place: d.fleet.place, Hostname: d.fleet.hostname,
		Announcing: announced.Stands(), Kept: announced == announce.Kept,
		Ready: service{d}.Ready().OK, Draining: d.stopping.Load() || d.drainsAll(),
		ErrorTable: state.refused, LastError: shortened(state.why),
		Written: time.Now().UTC().Truncate(time.Second),
	}
	kernel, err := d.steering.CountersSum()
	if err == nil {
		d.kernel.addSum(kernel)
	}
	routes := d.proxy.Sum()
	r.Conns, r.Flows = routes.Active["tcp"], routes.Active["udp"]
	r.Totals = totals(routes, kernel)
	return r
}

// longestError bounds an error in a report.
const longestError = 2000

// shortened keeps a report small: a table may have thousands of problems.
func shortened(why string) string {
	if len(why) > longestError {
		return why[:longestError] + "…"
	}
	return why
}

// The verdicts of the kernel that refuse, and how conns end that were cut.
var (
	kernelRefusals = []table.Verdict{table.Refuse, table.Drop, table.Deny, table.Limit}
	resets         = []string{"client_reset", "origin_reset", "relay_failed", "origin_timeout"}
)

// totals are the counters of all routes, as a push reads them. What the kernel refuses does not come to the proxy, so
// nothing is counted twice.
func totals(routes proxy.RouteStatus, kernel map[table.Verdict]uint64) (t fleet.Totals) {
	for _, v := range kernelRefusals {
		t.Refused += kernel[v]
	}
	t.Conns = t.Refused + routes.ConnsTotal
	t.Refused += routes.Denied + routes.Limited
	ended := admin.Counts(routes.Counts)
	t.Failed = ended.Errors()
	for _, verdicts := range ended.Ended {
		for _, v := range resets {
			t.Reset += verdicts[v]
			if v == "relay_failed" || v == "origin_timeout" {
				t.Failed -= verdicts[v]
			}
		}
	}
	return t
}

// inFleet is the daemon as a host of a fleet with a source.
type inFleet struct{ *daemon }

var _ fleetGuard = inFleet{}

// MayWithdraw asks the fleet whether this host may stop announcing: enough others have to go on. A document as the
// source knows no hosts: then this one may.
func (d inFleet) MayWithdraw(ctx context.Context) (bool, error) {
	c := d.serving.Load().config
	if !c.Fleet.IsEtcd() {
		return true, nil
	}
	ok, err := d.fleet.follower.MayWithdraw(ctx, c.Announce.MinHosts)
	if ok {
		d.fleet.granted.Store(time.Now().UnixNano())
	}
	return ok, err
}

// TableProblem is tableProblem.
func (d inFleet) TableProblem() string { return d.tableProblem() }

// announcing is the most welcoming verdict on a prefix. Once all is announced again that is in force, and not drained,
// what MayWithdraw has noted is taken back; not at once, since the routes go some time after the grant.
func (d *daemon) announcing() announce.Verdict {
	status := d.announce.Status(time.Now())
	granted := d.fleet.granted.Load()
	if granted != 0 && status.Whole() && !d.drainsAll() && time.Since(time.Unix(0, granted)) > grantLasts {
		ctx, cancel := context.WithTimeout(context.Background(), takeBackTimeout)
		defer cancel()
		if d.fleet.follower.Announces(ctx) == nil {
			d.fleet.granted.CompareAndSwap(granted, 0)
		}
	}
	return status.Best()
}

// grantLasts is how long a grant counts at least.
const grantLasts = 2 * fleet.ReportSame

// takeBackTimeout is less than the time between two reports.
const takeBackTimeout = time.Second

// firstContact is how long a start waits for the source before the table of the disk counts as the current one.
const firstContact = 10 * time.Second

// tableProblem says why this host does not serve the table of the fleet; "" if it does, or if nobody can know. A table that
// this host has refused does not count: it serves the one before as well as it did. Nor does an upgrade: the table is that
// of the process before.
func (d *daemon) tableProblem() string {
	g := d.serving.Load()
	if !g.config.FromSource() {
		return ""
	}
	if len(g.config.Routes) == 0 {
		return "the source has not given a table yet, and none is on the disk"
	}
	if !d.fleet.taken && d.fleet.follower.Status().Contact.IsZero() && time.Since(d.begun) < firstContact {
		return "the source has not answered yet: the table is that of the disk"
	}
	return ""
}
