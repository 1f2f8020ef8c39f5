package daemon

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/fleet"
	"anyport/config"
	"anyport/proxy/accesslog"
	"anyport/proxy/route"
	"anyport/steering"
)

// trial is a generation that serves a share of the clients beside the one in service: `anyport reload --share`. It
// never changes, so that status and explain may read it on any goroutine: another share makes another trial of it.
type trial struct {
	*generation
	percent float64 // of the clients
	share   steering.Share
	since   time.Time
	sides   *route.Sides
	access  *accesslog.Log // of the generation, if that writes another one; nothing is written to it during the trial
}

// askTrial starts a reload whose table serves only some percent of the clients. While one does already, and the file
// is still the same, it changes the percentage.
func (d *daemon) askTrial(percent float64, report reloadReport) error {
	if err := d.checkNoOtherTrial(); err != nil {
		return err
	}
	if d.reloading != nil {
		return errors.New("a reload is under way: ask again when it has ended")
	}
	d.beginReload(reloadOrder{share: percent, file: true}, []reloadReport{report})
	return nil
}

// beginTrial puts next into service for a share of the clients, or changes nothing.
func (d *daemon) beginTrial(next *generation, percent float64, access *accesslog.Log) (admin.Reloaded, error) {
	if err := d.checkChangeable(); err != nil {
		return admin.Reloaded{}, err
	}
	old := d.serving.Load()
	if err := errors.Join(checkShareable(old, next), d.checkAnnounce(next.config)); err != nil {
		return admin.Reloaded{}, err
	}
	share, err := steering.NewShare(percent)
	if err != nil {
		return admin.Reloaded{}, err
	}
	r := d.changes(old, next)
	// The proxy first: a conn that the kernel steers by the new table must find its route.
	sides := d.proxy.Share(next.table, next.config.Routes, share.Takes)
	if err := d.steering.BeginTrial(next.config, next.table, share); err != nil {
		sides.TryOld().Keep(d.steering.Table())
		return r, err
	}
	d.trial.Store(&trial{generation: next, percent: percent, share: share, since: time.Now(), sides: sides, access: access})
	d.settleRoutes()
	r.Generation, r.Trial, r.SharePercent = next.number, admin.TrialBegun, percent
	d.log.Info("trial begun", "config", next.config.Path, "share_percent", percent, "generation", next.number,
		"added", r.Named(config.Added), "removed", r.Named(config.Removed), "changed", r.Named(config.Changed))
	return r, nil
}

// changeShare has the generation on trial serve another percentage of the clients, if file is the same as then.
// Clients of the smaller share are also in the larger one. Live conns and flows stay with the table that they have.
func (d *daemon) changeShare(t *trial, file *generation, percent float64) (admin.Reloaded, error) {
	if err := errors.Join(d.checkChangeable(), checkSameFile(t.generation, file)); err != nil {
		return admin.Reloaded{}, err
	}
	changed := *t
	changed.percent, changed.share = percent, t.share.WithPercent(percent)
	changed.sides = t.sides.Divide(changed.share.Takes)
	if err := d.steering.SetShare(changed.share); err != nil {
		changed.sides = t.sides.Divide(t.share.Takes)
		changed.percent, changed.share = t.percent, t.share
		d.trial.Store(&changed)
		return admin.Reloaded{}, err
	}
	d.trial.Store(&changed)
	r := d.changes(d.serving.Load(), t.generation)
	r.Generation, r.Trial, r.SharePercent = t.number, admin.TrialBegun, percent
	d.log.Info("share of the trial changed", "share_percent", percent, "before", t.percent, "generation", t.number)
	return r, nil
}

// endTrial puts the generation on trial into service for all clients, or the one before.
func (d *daemon) endTrial(all bool) (admin.Reloaded, error) {
	t := d.trial.Load()
	if err := d.checkOneProcess(); err != nil {
		return admin.Reloaded{}, err
	}
	if t == nil {
		return admin.Reloaded{}, fmt.Errorf("nothing is on trial: begin with: anyport reload --share 5%%")
	}
	if err := d.checkChangeable(); err != nil {
		return admin.Reloaded{}, err
	}
	old := d.serving.Load()
	if !all {
		r, err := d.endTrialBy(t, old, t.sides.TryOld(), admin.TrialBack)
		if err == nil { // the file on trial has not lasted: it was taken back
			d.opt.Guard.Try(fleet.Bundle([]byte(old.config.Source()), tableIn(old.config)))
			d.opt.Guard.Tried(nil)
		}
		return r, err
	}
	r, err := d.endTrialBy(t, t.generation, t.sides.TryNext(), admin.TrialAll)
	if err == nil {
		d.useAccess(old.config.Log, t.config.Log, t.access)
	}
	d.opt.Guard.Tried(err)
	d.rememberReload(r, err)
	return r, err
}

// endTrialBy has only next serve: in the proxy on trial, and then in the kernel.
func (d *daemon) endTrialBy(t *trial, next *generation, trial *route.Trial, how admin.TrialEnd) (admin.Reloaded, error) {
	r := admin.Reloaded{Path: next.config.Path, Keys: []config.KeyDiff{}, Routes: []admin.RouteChange{}}
	if how == admin.TrialAll {
		r = d.changes(d.serving.Load(), next)
	}
	if err := d.steering.EndTrial(how == admin.TrialAll); err != nil {
		trial.Undo()
		return r, err
	}
	trial.Keep(d.steering.Table())
	d.trial.Store(nil)
	d.enterService(next)
	if how == admin.TrialBack && t.access != nil {
		_ = t.access.Close() // nothing was written to it
	}
	if d.fleet.wanted.Load() != nil {
		d.askTable()
	}
	r.Generation, r.Trial, r.SharePercent = next.number, how, t.percent
	d.log.Info("trial ended", "how", string(how), "generation", next.number, "lasted", time.Since(t.since).Round(time.Second))
	return r, nil
}

// routesInService are the routes of the generation in service, and those that only one on trial has.
func (d *daemon) routesInService() []*config.Route {
	g := d.serving.Load()
	t := d.trial.Load()
	if t == nil {
		return g.config.Routes
	}
	all, names := slices.Clone(g.config.Routes), g.routeNames()
	for _, r := range t.config.Routes {
		if !names[r.Name] {
			all = append(all, r)
		}
	}
	return all
}

// routeNames are their names.
func (d *daemon) routeNames() map[string]bool {
	names := map[string]bool{}
	for _, r := range d.routesInService() {
		names[r.Name] = true
	}
	return names
}
