package daemon

import (
	"strings"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/fleet/follow"
	"anyport/config"
)

// apply puts into service what was read, and logs what that has changed, or why it was refused.
func (d *daemon) apply(read *reload) (r admin.Reloaded, err error) {
	if err = read.err; err == nil {
		if r, err = d.use(read); err != nil {
			d.proxy.ForgetUnused()
		}
	}
	if read.access != nil { // nothing was written to it
		_ = read.access.Close()
	}
	if d.checkChangeable() == nil {
		d.checkNotified(d.opt.Manager.Ready(d.statusLine()))
	}
	d.opt.Guard.Tried(err)
	if !read.file {
		return r, d.tableTried(read.offer, r, err)
	}
	d.rememberReload(r, err)
	d.refused.Store(nil)
	if err != nil {
		why := err.Error()
		d.refused.Store(&why)
		for problem := range strings.Lines(why) {
			d.log.Error("reload refused: the old config serves on", "problem", strings.TrimSpace(problem))
		}
		return r, err
	}
	g := d.serving.Load()
	if r.Trial != "" { // which is logged where it begins
		return r, nil
	}
	d.tableServed(read.offer, g)
	if read.skipped != nil {
		d.refuseTable(read.offer, read.skipped)
	}
	d.log.Info("reloaded", "config", g.config.Path, "generation", g.number,
		"routes", len(g.config.Routes), "prefixes", g.table.Prefixes(),
		"added", r.Named(config.Added), "removed", r.Named(config.Removed), "changed", r.Named(config.Changed))
	d.warnShadowed(g)
	return r, nil
}

// tableTried notes and logs what became of a table that the source wants.
func (d *daemon) tableTried(o *follow.Offer, r admin.Reloaded, err error) error {
	if o == nil || d.checkChangeable() != nil { // it came into service meanwhile, with a new file; or another process takes it
		return err
	}
	d.rememberReload(r, err)
	if err != nil {
		d.refuseTable(o, err)
		return err
	}
	g := d.serving.Load()
	d.tableServed(o, g)
	d.log.Info("table taken from the source", "table", g.source.Short(), "serial", o.Serial, "trial", o.Trial, "generation", g.number,
		"routes", len(g.config.Routes), "prefixes", g.table.Prefixes(),
		"added", r.Named(config.Added), "removed", r.Named(config.Removed), "changed", r.Named(config.Changed))
	d.warnShadowed(g)
	return nil
}

// reloadsKept bounds what status tells about past reloads.
const reloadsKept = 8

// rememberReload notes a reload that has ended, for status.
func (d *daemon) rememberReload(r admin.Reloaded, err error) {
	past := admin.PastReload{
		At: time.Now(), Generation: d.serving.Load().number,
		Added: len(r.Named(config.Added)), Removed: len(r.Named(config.Removed)), Changed: len(r.Named(config.Changed)),
	}
	if err != nil {
		past.Error = err.Error()
	}
	all := []admin.PastReload{past}
	if before := d.reloads.Load(); before != nil {
		all = append(all, *before...)
	}
	all = all[:min(len(all), reloadsKept)]
	d.reloads.Store(&all)
}
