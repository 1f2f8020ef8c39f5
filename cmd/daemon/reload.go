package daemon

import (
	"fmt"
	"strings"

	"anyport/config"
)

// reloadLogged reloads, and leaves the outcome in the log: a line for each problem.
func (d *daemon) reloadLogged() {
	if err := d.reload(); err != nil {
		for problem := range strings.Lines(err.Error()) {
			d.log.Error("reload refused: the old config serves on", "problem", strings.TrimSpace(problem))
		}
		return
	}
	g := d.serving.Load()
	d.log.Info("reloaded", "config", g.config.Path, "generation", g.number,
		"routes", len(g.config.Routes), "prefixes", g.table.Prefixes())
}

// reload puts the file as it is now into service, or changes nothing.
func (d *daemon) reload() error {
	old := d.serving.Load()
	next, err := load(old)
	if err != nil {
		return err
	}
	// The proxy first: a conn that the kernel steers by the new table must find its route.
	d.proxy.Update(next.table, next.config.Routes)
	if err := d.steering.Replace(next.config, next.table); err != nil {
		d.proxy.Update(old.table, old.config.Routes)
		return err
	}
	d.serving.Store(next)
	d.level.Set(next.config.Log.Level)
	if d.access != nil {
		d.access.Reopen()
	}
	return nil
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
	return prepare(c, old.number+1)
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
	return problems
}
