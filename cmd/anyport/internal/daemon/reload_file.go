package daemon

import (
	"errors"
	"fmt"
	"time"

	"anyport/cmd/anyport/internal/crashloop"
	"anyport/cmd/anyport/internal/fleet"
	"anyport/cmd/anyport/internal/slowfs"
	"anyport/config"
	"anyport/proxy/accesslog"
	"anyport/steering/host"
)

// loadAll is load and all else of a reload that may take a while and can fail. The access log in service is
// opened again even if the file is refused: after a rotation it needs its new file. If it cannot be opened,
// the reload is refused, so that whoever asked for it learns of that.
//
// If next does not have the table of the order, skipped says why: the file is good without it.
func (d *daemon) loadAll(order reloadOrder) (next *generation, access *accesslog.Log, skipped, err error) {
	if !order.file {
		next, _, err = d.load(order, d.opt.Guard)
		if err == nil {
			err = d.resolveNames(next.config)
		}
		return next, nil, nil, err
	}
	reopened, check, guard := d.reopenAccess(), d.checkNoTrial, d.opt.Guard
	if order.share > 0 {
		check = d.checkNoOtherTrial
	}
	if d.trial.Load() != nil {
		guard = nil // only the share may change: no other file comes into service
	}
	if err = check(); err == nil {
		next, skipped, err = d.load(order, guard)
	}
	switch {
	case err != nil && reopened != nil:
		return nil, nil, nil, errors.Join(err, reopened)
	case err != nil:
		return nil, nil, nil, err
	case reopened != nil && next.config.Log.Access == d.serving.Load().config.Log.Access:
		return nil, nil, nil, reopened
	}
	if err = d.resolveNames(next.config); err != nil {
		return nil, nil, nil, err
	}
	access, err = d.openNextAccess(next.config.Log)
	return next, access, skipped, err
}

// readTimeout bounds how long a file may take to be read. How long the rest of a reload takes depends
// only on the size of the file.
const readTimeout = 30 * time.Second

// load reads and compiles the file in service as it is now, with the table of the order or, without one, with that in
// service. It may take a while, and changes nothing. guard hears of each text before it is parsed; nil: it is only looked at.
func (d *daemon) load(order reloadOrder, guard *crashloop.Guard) (next *generation, skipped, err error) {
	if err := d.checkChangeable(); err != nil {
		return nil, nil, err
	}
	old := d.serving.Load()
	text := []byte(old.config.Source())
	if order.file {
		if text, err = d.readFile(old.config.Path); err != nil {
			return nil, nil, err
		}
		d.secrets.note(string(text))
	}
	if order.offer != nil {
		d.secrets.note(string(order.offer.Text))
		next, err = d.compileWith(old, text, order.offer.Text, guard, !order.file)
		if err == nil || !order.file {
			return next, nil, err
		}
		skipped = err
		if guard != nil {
			guard.Tried(err)
		}
	}
	next, err = d.compileWith(old, text, tableIn(old.config), guard, false)
	return next, skipped, err
}

// tableIn is the text of the table that a config has; nil: none.
func tableIn(c *config.Config) []byte {
	if c.TableText() == "" {
		return nil
	}
	return []byte(c.TableText())
}

// compileWith makes the generation after old from a file and a table; nil: none. With careful it refuses a table that
// processes have died with.
func (d *daemon) compileWith(old *generation, text, table []byte, guard *crashloop.Guard, careful bool) (*generation, error) {
	if bundle := fleet.Bundle(text, table); guard != nil {
		if careful && guard.Deadly(bundle) {
			return nil, errDeadly
		}
		guard.Try(bundle)
	}
	next, err := nextGeneration(d.opt, old, text, table)
	if err != nil {
		return nil, err
	}
	return next, d.readKeyFiles(next)
}

// readKeyFiles reads the keys that the file of g names, before g comes into service.
func (d *daemon) readKeyFiles(g *generation) (err error) {
	if g.keys, err = d.readKeys(g.config); err != nil {
		return err
	}
	g.peerKeys, err = d.readPeerKeys(g.config)
	return err
}

// readFile reads a file that may be on a mount that hangs.
func (d *daemon) readFile(path string) ([]byte, error) {
	return slowfs.Do(d.slow, "read "+path, func() ([]byte, error) { return config.Read(path) })
}

// WithTable is a file with the text of a table, if its routes come from a source. nil stands for no table: then
// nothing is served.
func WithTable(file *config.Config, table []byte) (*config.Config, error) {
	switch {
	case !file.FromSource():
		return file, nil
	case table == nil:
		return file.WithoutRoutes(), nil
	}
	return file.WithTable("table "+fleet.HashOf(table).Short(), table)
}

// nextGeneration makes the generation after old from a new text of its file, and the table of its source.
func nextGeneration(opt Options, old *generation, text, table []byte) (*generation, error) {
	file, err := config.Parse(old.config.Path, text)
	if err != nil {
		return nil, err
	}
	if problems := checkFixedKeys(old.config, opt.unpinned(file)); len(problems) > 0 {
		return nil, problems
	}
	c, err := WithTable(file, table)
	if err != nil {
		return nil, err
	}
	c = opt.unpinned(c)
	others, err := host.OtherListeners()
	if err != nil {
		return nil, err
	}
	return prepare(c, old.number+1, others)
}

// possibleTable is announce.table as far as a change concerns it: the first one takes CAP_NET_ADMIN, which is dropped
// where nothing needs it.
func possibleTable(old, next *config.Config) int {
	if old.Announce.Table != 0 || old.Steering.ManageRoutes {
		return old.Announce.Table
	}
	return next.Announce.Table
}

// checkFixedKeys names the keys that differ but cannot change while sockets are open.
func checkFixedKeys(old, next *config.Config) config.Problems {
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
		{"announce.table", old.Announce.Table, possibleTable(old, next)},
		{"steering.user", old.Steering.User, next.Steering.User},
		{"steering.pin", old.Steering.Pin, next.Steering.Pin},
		{"admin.socket", old.Admin.Socket, next.Admin.Socket},
		{"admin.group", old.Admin.Group, next.Admin.Group},
		{"admin.http", old.Admin.HTTP, next.Admin.HTTP},
		{"fleet.source", old.Fleet.Source, next.Fleet.Source},
		{"fleet.host", old.Fleet.Host, next.Fleet.Host},
		{"log.format", old.Log.Format, next.Log.Format},
	} {
		if k.old != k.next {
			problems = append(problems, config.Problem{File: next.Path, Key: k.key,
				Text: fmt.Sprintf("%#v cannot become %#v while anyport runs: restart it, or put the old value back", k.old, k.next)})
		}
	}
	return next.Locate(problems)
}
