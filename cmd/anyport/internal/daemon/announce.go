package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/upgrade"
	"anyport/config"
	"anyport/steering/announce"
)

// fleetGuard is what a host of a fleet asks the others about. Its methods may be called from any goroutine.
type fleetGuard interface {
	// MayWithdraw reports whether enough other hosts announce their prefixes.
	MayWithdraw(ctx context.Context) (bool, error)
	// TableProblem says why the table in service is not the one that the fleet should serve; "": it is.
	TableProblem() string
}

// announceInterval is how late a change of the kernel, which reports none to this goroutine, is seen; routes that others
// remove are restored as late. What this process decides itself wakes the goroutine at once.
const announceInterval = 500 * time.Millisecond

// withdrawTime is how long a stop goes on taking new conns after it has removed the announced routes: the
// routers that still send here then have the time to learn of it.
const withdrawTime = time.Second

// troubleTime is how long something must be wrong with this host before its prefixes are withdrawn. What other programs
// remove, the steering restores within a second: routers need not learn of that.
const troubleTime = time.Second

// trouble is what is wrong with this host. It belongs to the goroutine of keepAnnouncing.
type trouble struct{ since time.Time } // zero: nothing is

// lasting returns a problem that has lasted for troubleTime, "" before.
func (t *trouble) lasting(problem string, now time.Time) string {
	switch {
	case problem == "":
		t.since = time.Time{}
	case t.since.IsZero():
		t.since = now
	case now.Sub(t.since) >= troubleTime:
		return problem
	}
	return ""
}

// openAnnounce opens what announces prefixes, while this process may still make a network device, and before the
// steering takes the descriptors of the process before. What that one has announced stays announced.
func (d *daemon) openAnnounce() error {
	d.announce = announce.New(d.log, d.tellMove)
	d.closers = append(d.closers, d.announce.Close)
	if d.before != nil {
		if fd := d.before.Take(upgrade.FDAnnounce); fd >= 0 {
			if err := d.announce.Inherit(fd, d.before.Damping); err != nil {
				return err
			}
		}
	}
	return d.announce.Prepare(d.opt.Config.Announce)
}

// withdrawAnnounced removes the routes, unless another process goes on with them.
func (d *daemon) withdrawAnnounced() error {
	if d.before == nil && d.successor.Load() == 0 {
		d.announce.Withdraw()
	}
	return nil
}

// keepAnnouncing keeps the announced routes in line with what this host can serve, until ctx ends. Without
// announce.table it only waits for one.
func (d *daemon) keepAnnouncing(ctx context.Context) {
	ticker := time.NewTicker(announceInterval)
	defer ticker.Stop()
	var t trouble
	for {
		d.updateAnnounced(ctx, &t)
		tick := ticker.C
		if d.serving.Load().config.Announce.Table == 0 {
			tick = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-tick:
		case <-d.announceNews:
		}
	}
}

// noteAnnounce has keepAnnouncing look at once. Any goroutine may call it.
func (d *daemon) noteAnnounce() {
	select {
	case d.announceNews <- struct{}{}:
	default: // it has yet to look
	}
}

// updateAnnounced finds out what this host can serve, and announces that.
func (d *daemon) updateAnnounced(ctx context.Context, t *trouble) {
	c := d.serving.Load().config
	if c.Announce.Table == 0 {
		d.announce.Update(ctx, c.Announce, announce.Facts{Now: time.Now()}, nil)
		return
	}
	var permit announce.Permit
	if d.fleetGuard != nil {
		permit = d.fleetGuard.MayWithdraw
	}
	now := time.Now()
	facts := announce.Facts{Now: now, Problem: t.lasting(d.hostProblem(), now), Routes: d.servedRoutes(c)}
	if ctx.Err() == nil { // else an upgrade may have begun meanwhile
		d.announce.Update(ctx, c.Announce, facts, permit)
	}
}

// hostProblem says why this host cannot serve any prefix; "": it can. It is what /readyz goes by, less the orders of
// operators: a drain does not withdraw a prefix.
func (d *daemon) hostProblem() string {
	kernel, err := d.steering.Readiness()
	var problems []string
	for _, c := range kernelConditions(kernel, err) {
		if c.Failed != "" {
			problems = append(problems, c.Failed)
		}
	}
	if d.fleetGuard != nil {
		if why := d.fleetGuard.TableProblem(); why != "" {
			problems = append(problems, why)
		}
	}
	return strings.Join(problems, "; ")
}

// servedRoutes are the routes whose prefixes clients should come to. Those that only refuse or drop are none: this host
// need not attract packets for that.
func (d *daemon) servedRoutes(c *config.Config) (served []announce.Served) {
	drains, down, hours := d.drains.Load(), d.proxy.NoneUp(), *d.hours.Load()
	for _, r := range c.Routes {
		if r.Action == config.Refuse || r.Action == config.Drop {
			continue
		}
		state, scheduled := hours[r.Name]
		served = append(served, announce.Served{
			Name: r.Name, Prefixes: r.Prefixes,
			Inactive: scheduled && !state.Active, NoOrigin: down[r.Name], Draining: drains.has(r.Name),
		})
	}
	return served
}

// announceStatus is what is announced; nil without announce.table.
func (d *daemon) announceStatus() *admin.AnnounceStatus {
	s := d.announce.Status(time.Now())
	if s.Table == 0 {
		return nil
	}
	status := &admin.AnnounceStatus{
		Table: s.Table, Protocol: announce.Protocol, Device: s.Device, Metric: s.Metric, Prefixes: map[string]int{},
		Problem: s.Problem, Kept: s.Refused, Error: s.Failed, RoutesRestored: s.Restored, Parts: []admin.AnnouncePart{},
	}
	for _, v := range announce.Verdicts {
		status.Prefixes[string(v)] = s.Prefixes[v]
	}
	for _, p := range s.Parts {
		status.Parts = append(status.Parts, admin.AnnouncePart{
			Route: p.Route, Verdict: string(p.Verdict), Flaps: p.Flaps, Penalty: p.Penalty, WaitSeconds: p.Wait.Seconds(),
		})
	}
	return status
}

// explainAnnounced says whether routing daemons are given a prefix; nothing without announce.table.
func (d *daemon) explainAnnounced(p netip.Prefix) []string {
	verdict, table := d.announce.Verdict(p), d.serving.Load().config.Announce.Table
	switch {
	case table == 0 || verdict == "":
		return nil
	case verdict.Stands():
		return []string{fmt.Sprintf("table %d has %s for routing daemons: %s", table, p, verdict)}
	}
	return []string{fmt.Sprintf("table %d does not have %s for routing daemons: %s", table, p, verdict)}
}

// checkAnnounce refuses a table that this process has not the means to announce in.
func (d *daemon) checkAnnounce(next *config.Config) error {
	if err := d.announce.Prepare(next.Announce); err != nil {
		return errors.Join(errors.New("announce.table: restart anyport for it, or write 0"), err)
	}
	return nil
}
