package daemon

import (
	"errors"
	"fmt"
	"time"

	"anyport/cmd/anyport/internal/slowfs"
	"anyport/config"
	"anyport/proxy/accesslog"
	"anyport/steering/host"
)

// loadAll is load and all else of a reload that may take a while and can fail. The access log in service is
// opened again even if the file is refused: after a rotation it needs its new file. If it cannot be opened,
// the reload is refused, so that whoever asked for it learns of that.
func (d *daemon) loadAll() (next *generation, access *accesslog.Log, err error) {
	reopened := d.reopenAccess()
	next, err = d.load(d.opt.Guard.Try)
	switch {
	case err != nil && reopened != nil:
		return nil, nil, errors.Join(err, reopened)
	case err != nil:
		return nil, nil, err
	case reopened != nil && next.config.Log.Access == d.serving.Load().config.Log.Access:
		return nil, nil, reopened
	}
	if err = d.resolveNames(next.config); err != nil {
		return nil, nil, err
	}
	access, err = d.openNextAccess(next.config.Log)
	return next, access, err
}

// readTimeout bounds how long a file may take to be read. How long the rest of a reload takes depends
// only on the size of the file.
const readTimeout = 30 * time.Second

// load reads and compiles the file in service as it is now. It may take a while, and changes nothing. try is
// called with the text before it is parsed.
func (d *daemon) load(try func(text []byte)) (*generation, error) {
	if err := d.checkChangeable(); err != nil {
		return nil, err
	}
	old := d.serving.Load()
	text, err := d.readFile(old.config.Path)
	if err != nil {
		return nil, err
	}
	d.secrets.note(string(text))
	try(text)
	next, err := nextGeneration(d.opt, old, text)
	if err != nil {
		return nil, err
	}
	next.keys, err = d.readKeys(next.config)
	return next, err
}

// readFile reads a file that may be on a mount that hangs.
func (d *daemon) readFile(path string) ([]byte, error) {
	return slowfs.Do(d.slow, "read "+path, func() ([]byte, error) { return config.Read(path) })
}

// nextGeneration makes the generation after old from a new text of its file.
func nextGeneration(opt Options, old *generation, text []byte) (*generation, error) {
	c, err := config.Parse(old.config.Path, text)
	if err != nil {
		return nil, err
	}
	c = opt.unpinned(c)
	if problems := checkFixedKeys(old.config, c); len(problems) > 0 {
		return nil, problems
	}
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
		{"log.format", old.Log.Format, next.Log.Format},
	} {
		if k.old != k.next {
			problems = append(problems, config.Problem{File: next.Path, Key: k.key,
				Text: fmt.Sprintf("%#v cannot become %#v while anyport runs: restart it, or put the old value back", k.old, k.next)})
		}
	}
	return next.Locate(problems)
}
