package daemon

import (
	"fmt"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/slowfs"
	"anyport/config"
	"anyport/steering"
)

// reload is a reload under way: its file is read and compiled beside the goroutine that decides, to
// which it belongs. What it puts into service, that goroutine does.
type reload struct {
	read chan struct{} // closed when next and err are there
	next *generation
	err  error
	tell []func(admin.Reloaded, error) // who has asked for it

	signal bool                          // SIGHUP has asked for it, or for the next one
	again  bool                          // there is to be a next one, which was asked for since this one was begun
	after  []func(admin.Reloaded, error) // who has asked for that
}

// done is closed when the file has been read; nil where no reload is under way.
func (r *reload) done() <-chan struct{} {
	if r == nil {
		return nil
	}
	return r.read
}

// reloadBySignal has the outcome told in the log alone.
func (d *daemon) reloadBySignal() {
	d.reload(nil)
	d.reloading.signal = true
}

// reload begins to read the file again. In the end it is in service, or nothing is changed, and tell
// is called, unless it is nil; the log has the outcome, too. Where one is under way this one comes after it.
func (d *daemon) reload(tell func(admin.Reloaded, error)) {
	var who []func(admin.Reloaded, error)
	if tell != nil {
		who = append(who, tell)
	}
	if r := d.reloading; r != nil {
		r.again, r.after = true, append(r.after, who...)
		return
	}
	d.beginReload(who)
}

func (d *daemon) beginReload(tell []func(admin.Reloaded, error)) {
	if d.ending() == nil {
		d.tell(d.opt.Manager.Reloading())
	}
	if d.access != nil {
		d.access.Reopen() // also where the reload is refused: a log that was rotated needs its new file
	}
	r := &reload{read: make(chan struct{}), tell: tell}
	d.reloading = r
	go func() { // ends when the file is read and compiled, or could not be read in time
		defer close(r.read)
		r.next, r.err = d.load()
	}()
}

// endReload puts into service what was read, and begins the reload that was asked for meanwhile.
func (d *daemon) endReload() {
	r := d.reloading
	d.reloading = nil
	reloaded, err := d.apply(r)
	for _, tell := range r.tell {
		tell(reloaded, err)
	}
	if r.again {
		d.beginReload(r.after)
		d.reloading.signal = r.signal
	}
}

// leaveReload tells those who wait for a reload that there will be none: this process ends.
func (d *daemon) leaveReload() {
	if r := d.reloading; r != nil {
		for _, tell := range append(r.tell, r.after...) {
			tell(admin.Reloaded{}, errStopping)
		}
	}
}

// apply puts into service what was read, and says in the log what that has changed, or why not.
func (d *daemon) apply(read *reload) (r admin.Reloaded, err error) {
	if err = read.err; err == nil {
		r, err = d.replace(read.next)
	}
	if d.ending() == nil {
		d.tell(d.opt.Manager.Ready(d.summary()))
	}
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
		"added", r.Named(config.Added), "removed", r.Named(config.Removed), "changed", r.Named(config.Changed))
	d.warn(g)
	return r, nil
}

// compare reads the file again, and says what a reload would change.
func (d *daemon) compare() (admin.Reloaded, error) {
	next, err := d.load()
	if err != nil {
		return admin.Reloaded{DryRun: true}, err
	}
	old := d.serving.Load()
	r := d.change(old, next)
	r.DryRun, r.Generation = true, old.number
	return r, nil
}

// change says what is different in next, and what that does to live conns.
func (d *daemon) change(old, next *generation) admin.Reloaded {
	return change(old.config, next.config, touched(d.conns(""), next))
}

// replace puts next into service, or changes nothing.
func (d *daemon) replace(next *generation) (admin.Reloaded, error) {
	if err := d.ending(); err != nil {
		return admin.Reloaded{}, err
	}
	r := d.change(d.serving.Load(), next)
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

// readLimit bounds how long a file may take to be read. What else a reload takes depends on the size of
// the file alone.
const readLimit = 30 * time.Second

// load reads and compiles the file in service as it is now. It may take a while, and changes nothing.
func (d *daemon) load() (*generation, error) {
	if err := d.ending(); err != nil {
		return nil, err
	}
	old := d.serving.Load()
	text, err := d.read(old.config.Path)
	if err != nil {
		return nil, err
	}
	return next(old, text)
}

// read reads a file that may be on a mount that hangs.
func (d *daemon) read(path string) ([]byte, error) {
	return slowfs.Do(d.slow, "read "+path, func() ([]byte, error) { return config.Read(path) })
}

// next is the generation after old, by this text of its file.
func next(old *generation, text []byte) (*generation, error) {
	c, err := config.Parse(old.config.Path, text)
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
