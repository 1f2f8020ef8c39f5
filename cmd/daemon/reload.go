package daemon

import (
	"fmt"
	"strings"

	"anyport/config"
	"anyport/steering"
)

// reload puts the file as it is now into service and says what that changed, or
// changes nothing. A dry run says what it would change. Both stand in the log.
func (d *daemon) reload(dryRun bool) (Reloaded, error) {
	if dryRun {
		_, r, err := d.compare()
		r.DryRun = true
		return r, err
	}
	d.tell(d.opt.Manager.Reloading())
	if d.access != nil {
		d.access.Reopen() // whatever becomes of the file: a log that was rotated is to begin anew
	}
	r, err := d.replace()
	d.tell(d.opt.Manager.Ready(d.summary()))
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
	d.log.Info("reloaded", "config", g.config.Path, "generation", g.number,
		"routes", len(g.config.Routes), "prefixes", g.table.Prefixes(),
		"added", r.names(config.Added), "removed", r.names(config.Removed), "changed", r.names(config.Changed))
	d.warn(g)
	return r, nil
}

// compare reads the file again, and says what would change.
func (d *daemon) compare() (*generation, Reloaded, error) {
	if err := d.ending(); err != nil {
		return nil, Reloaded{}, err
	}
	old := d.serving.Load()
	next, err := load(old)
	if err != nil {
		return nil, Reloaded{}, err
	}
	r := change(old.config, next.config, touched(d.conns(""), next))
	r.Generation = old.number
	return next, r, nil
}

func (d *daemon) replace() (Reloaded, error) {
	next, r, err := d.compare()
	if err != nil {
		return r, err
	}
	// The proxy first: a conn that the kernel steers by the new table must find its route.
	trial := d.proxy.Try(next.table, next.config.Routes)
	if err := d.steering.Replace(next.config, next.table); err != nil {
		trial.Undo()
		return r, err
	}
	trial.Keep(d.steering.Table())
	d.serving.Store(next)
	if err := d.setDrains(*d.drains.Load()); err != nil {
		d.log.Error("a route that is to be drained may take conns", "error", err)
	}
	d.level.Set(next.config.Log.Level)
	d.store() // a socket may have come or gone
	r.Generation = next.number
	return r, nil
}

// load reads the file of old again.
func load(old *generation) (*generation, error) {
	c, err := config.Load(old.config.Path)
	if err != nil {
		return nil, err
	}
	if problems := fixed(old.config, c); len(problems) > 0 {
		return nil, problems
	}
	others, err := steering.OtherListeners()
	if err != nil {
		return nil, err
	}
	return prepare(c, old.number+1, others)
}

// fixed names the keys that differ, yet cannot change while sockets are open.
func fixed(old, next *config.Config) config.Problems {
	var problems config.Problems
	for _, k := range []struct {
		key       string
		old, next any
	}{
		{"listen.workers", old.Listen.Workers, next.Listen.Workers},
		{"listen.tcp_backlog", old.Listen.TCPBacklog, next.Listen.TCPBacklog},
		{"listen.udp_receive_buffer", old.Listen.UDPReceiveBuffer, next.Listen.UDPReceiveBuffer},
		{"listen.max_flows", old.Listen.MaxFlows, next.Listen.MaxFlows},
		{"steering.manage_routes", old.Steering.ManageRoutes, next.Steering.ManageRoutes || old.Steering.ManageRoutes}, // on takes CAP_NET_ADMIN, off does not
		{"steering.user", old.Steering.User, next.Steering.User},
		{"steering.pin", old.Steering.Pin, next.Steering.Pin},
		{"admin.socket", old.Admin.Socket, next.Admin.Socket},
		{"admin.http", old.Admin.HTTP, next.Admin.HTTP},
		{"log.format", old.Log.Format, next.Log.Format},
		{"log.access", old.Log.Access, next.Log.Access},
	} {
		if k.old != k.next {
			problems = append(problems, config.Problem{File: next.Path, Key: k.key,
				Text: fmt.Sprintf("%#v cannot become %#v while anyport runs: restart it, or put the old value back", k.old, k.next)})
		}
	}
	return next.Locate(problems)
}
