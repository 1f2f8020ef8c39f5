// Package daemon is a running anyport: it opens the steering, serves, reloads,
// answers on the admin socket, and stops.
//
// What it holds is acquired in order and given back in reverse. One goroutine,
// [Run]'s own, decides on signals and reloads, so that these never race. It opens no file by
// name, which may hang: others do so and report to it.
package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"sync/atomic"
	"time"

	"anyport/cmd/anyport/internal/handover"
	"anyport/cmd/anyport/internal/privileges"
	"anyport/cmd/anyport/internal/slowfs"
	"anyport/cmd/anyport/internal/socket"
	"anyport/cmd/anyport/internal/systemd"
	"anyport/cmd/anyport/internal/upgrade"
	"anyport/config"
	"anyport/proxy"
	"anyport/proxy/files"
	"anyport/proxy/lines"
	"anyport/proxy/route"
	"anyport/proxy/udp"
	"anyport/steering"
)

// Options say what to run.
type Options struct {
	Config  *config.Config
	Version string
	Log     io.Writer        // where the log goes
	Signals <-chan os.Signal // SIGHUP reloads, another stops, one more stops at once; may be nil
	Ready   func()           // called once traffic is served; may be nil

	Manager systemd.Notifier // is told what happens, and keeps the sockets
	Stored  map[string]int   // what it kept of a process that is gone: by name, Run's to close

	Watchdog time.Duration // it kills this process if it hears nothing for so long; 0: never

	Predecessor *handover.Conn // the process to take the place of, which serves until all is done; nil: none

	Drop bool // give up what serving does not need, with the whole process and for good
}

// Run serves the config until ctx is done or a signal says to stop, and returns
// nil once the last conn has ended.
func Run(ctx context.Context, opt Options) (err error) {
	d, err := open(opt)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	return d.serve(ctx)
}

// daemon is what a running anyport holds.
type daemon struct {
	opt   Options
	level slog.LevelVar
	log   *slog.Logger
	lines *lines.Queue // where the log goes
	begun time.Time
	files uint64 // file descriptors that this process may open

	budget files.Budget // of them

	access   *proxy.AccessLog // nil: none
	admin    *socket.Socket   // nil: none
	web      net.Listener     // nil: none
	proxy    *proxy.Server
	steering *steering.Steering

	serving  atomic.Pointer[generation]
	refused  atomic.Pointer[string] // why the last reload was; nil: it was not
	drains   atomic.Pointer[drains]
	stopping atomic.Bool // nothing new is taken any more
	told     bool        // to stop: by a signal, not by an upgrade
	relinked atomic.Bool // the service manager may keep a link that is dead

	successor atomic.Int64 // the process that serves after an upgrade; 0: none
	upgrading *takeover    // nil: no upgrade is under way
	reloading *reload      // nil: no reload is under way

	slow *slowfs.Worker // for files that may be on a mount that hangs

	refusals  chan closedService // for the goroutine that mirrors them
	decisions chan func()        // for the goroutine that decides
	decided   chan struct{}      // closed when that has ended
	stored    map[string]int     // what the service manager has, by name
	account   *privileges.Account

	before   *upgrade.Predecessor // the process that still serves; nil: none
	incoming *incoming            // from the process that served before; nil: there was none
	handing  atomic.Bool          // what is held goes to another process, and the loops stand still
	replaced atomic.Bool          // the service manager was told of another process
	raw      *udp.Raw
	unwatch  func() // ends the watch over the steering

	closers []func() error // in the order of acquisition
}

// generation is one config in service.
type generation struct {
	number   int // 1 is what the process began with
	config   *config.Config
	table    *steering.Table
	shadowed []steering.Shadow // give way, as shadow_listeners says
	loaded   time.Time
}

// open acquires all that serving needs, or nothing.
func open(opt Options) (*daemon, error) {
	d := &daemon{opt: opt, begun: time.Now(), decisions: make(chan func()), decided: make(chan struct{}), slow: slowfs.New(readLimit), refusals: make(chan closedService, 1024), stored: map[string]int{}}
	maps.Copy(d.stored, opt.Stored)
	d.drains.Store(&drains{})
	d.openLog()
	for _, acquire := range []func() error{d.openPredecessor, d.openFiles, d.openAccount, d.openAccess, d.openAdmin, d.openHTTP, d.openRoutes, d.drop, d.awaitGo} {
		if err := acquire(); err != nil {
			return nil, errors.Join(err, d.close())
		}
	}
	return d, nil
}

// openRoutes puts the routes into service in the proxy first: the kernel steers
// from the moment that the steering is open.
func (d *daemon) openRoutes() error {
	c := d.opt.Config
	listeners, err := d.otherListeners()
	if err != nil {
		return err
	}
	g, err := prepare(c, 1, listeners)
	if err != nil {
		return err
	}
	d.openRaw()
	d.proxy = proxy.New(proxy.Options{
		Workers:  c.Listen.Workers,
		MaxFlows: d.maxFlows(),
		Raw:      d.raw,
		Record:   d.record(),
		Mirror:   d.refusal,
		Log:      d.log,
	})
	trial := d.proxy.Try(g.table, c.Routes)
	if d.steering, err = d.openSteering(g); err != nil {
		return err
	}
	trial.Keep(d.steering.Table())
	d.closers = append(d.closers, d.closeSteering)
	if err := d.divideFiles(); err != nil {
		return err
	}
	d.serving.Store(g)
	return d.keepDrains()
}

// otherListeners are those that are not of this process, or of the one before.
func (d *daemon) otherListeners() ([]steering.Listener, error) {
	if d.before != nil {
		return d.before.Listeners, nil
	}
	return steering.OtherListeners()
}

// prepare compiles c and asks whether this host, with these listeners of others, can
// serve it.
func prepare(c *config.Config, number int, others []steering.Listener) (*generation, error) {
	table, err := steering.Compile(c)
	if err != nil {
		return nil, err
	}
	if err := checkHTTP(c, table); err != nil {
		return nil, err
	}
	shadowed, err := steering.CheckBeside(c, table, others)
	if err != nil {
		return nil, err
	}
	return &generation{number: number, config: c, table: table, shadowed: shadowed, loaded: time.Now()}, nil
}

func (d *daemon) record() func(route.Record) {
	if d.access == nil {
		return nil
	}
	return d.access.Record
}

// close gives back what is held, the last first.
func (d *daemon) close() error {
	var errs []error
	for i := len(d.closers) - 1; i >= 0; i-- {
		errs = append(errs, d.closers[i]())
	}
	return errors.Join(errs...)
}
