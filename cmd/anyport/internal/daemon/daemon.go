package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/alarm"
	"anyport/cmd/anyport/internal/crashloop"
	"anyport/cmd/anyport/internal/fleet"
	"anyport/cmd/anyport/internal/handover"
	"anyport/cmd/anyport/internal/knock"
	"anyport/cmd/anyport/internal/peers"
	"anyport/cmd/anyport/internal/privileges"
	"anyport/cmd/anyport/internal/slowfs"
	"anyport/cmd/anyport/internal/socket"
	"anyport/cmd/anyport/internal/systemd"
	"anyport/cmd/anyport/internal/trace"
	"anyport/cmd/anyport/internal/upgrade"
	"anyport/config"
	"anyport/proxy"
	"anyport/proxy/datagram"
	"anyport/proxy/logfile"
	"anyport/steering"
	"anyport/steering/announce"
	"anyport/steering/host"
	"anyport/steering/services"
	"anyport/steering/table"
)

// Options say what to run.
type Options struct {
	Config  *config.Config
	Version string
	Log     io.Writer        // where the log goes
	Signals <-chan os.Signal // SIGHUP reloads, another stops, one more stops at once; may be nil
	Ready   func()           // called once traffic is served; may be nil

	Manager systemd.Notifier // hears what happens, and keeps the sockets
	Stored  map[string]int   // what it kept of a process that has ended: by name; Run closes them

	Watchdog time.Duration // the manager kills this process if it hears nothing for this long; 0: never

	Predecessor *handover.Conn // to the process that this one replaces, which serves until then; nil: none

	// AfterSignal is called on a goroutine of its own with the config that SIGHUP has put into service, one call at a time:
	// of two that come close together the second may be left out. May be nil.
	AfterSignal func(*config.Config, *slog.Logger)

	Confirm time.Duration // give everything back unless somebody confirms in this time; 0: do not

	State string           // the state directory, for the last table of a fleet; "": none
	Guard *crashloop.Guard // against a crash loop; nil: none. The caller closes it

	fleetGuard fleetGuard // of a test; nil: see daemon.fleetGuard
	heirOf     *daemon    // on trial in this process, whose conns come here; nil: none

	Drop bool // give up the privileges that serving does not need: for the whole process, irrevocably
}

// Run serves the config until ctx is done or a signal says to stop, and returns
// nil once the last conn has ended.
func Run(ctx context.Context, opt Options) error {
	opt.Config = opt.unpinned(opt.Config)
	if opt.Guard == nil {
		opt.Guard = crashloop.Open(crashloop.Options{})
	}
	d, err := open(opt)
	if err != nil {
		return err
	}
	if d.trying != nil {
		heir, err := d.serveTrial(ctx)
		if heir == nil {
			return errors.Join(err, d.close())
		}
		d = heir // what was on trial closes itself
	}
	return errors.Join(d.serve(ctx), d.close())
}

// daemon is what a running anyport holds. open fills it; afterwards what is not atomic belongs to the
// goroutine that decides (control), or does not change.
type daemon struct {
	opt     Options
	level   slog.LevelVar // log.level, which a reload may change
	log     *slog.Logger
	lines   *logfile.Queue // where the log goes; recent gets each line first
	recent  *recentLines   // the log's own lines, for sysdump
	secrets knownSecrets   // of all files so far, for sysdump
	begun   time.Time      // for uptime_seconds
	files   uint64         // file descriptors that this process might open when it began

	lowFDs lowFDs // some of them

	instance string // of this process and those before it that it has replaced by upgrades

	clientSockets int // UDP flows with a socket of their own that a client may have, if its route does not say
	clientFlows   int // and of those without

	alarm *alarm.Alarm                                 // goes off when a route begins or ends to be in force
	hours atomic.Pointer[map[string]admin.HoursStatus] // of the routes with active, by name

	access     accessLog
	admin      *socket.Socket      // nil: none
	adminGroup int                 // of admin.group; or socket.NoGroup
	web        net.Listener        // nil: none
	proxy      *proxy.Server       // moves the bytes; its loops never wait for this goroutine
	steering   *steering.Steering  // what is in the kernel; it has a mutex of its own
	traces     *trace.Hub          // who traces; it has a mutex of its own
	announce   *announce.Announcer // the routes of [announce]; it has a mutex of its own
	fleetGuard fleetGuard          // what the other hosts of the fleet say; nil: this host is alone

	serving atomic.Pointer[generation] // never nil once the routes are open
	trial   atomic.Pointer[trial]      // a generation for some clients; nil: none
	trying  *onTrial                   // this process is the one on trial; nil: it is not

	processTrial atomic.Pointer[processTrial]       // another process that takes some clients' conns; nil: none
	trialEnd     atomic.Pointer[string]             // why the last one was ended without an order; nil: it was not
	refused      atomic.Pointer[string]             // why the last reload was refused; nil: it was not
	reloads      atomic.Pointer[[]admin.PastReload] // the newest first; nil: none yet. A new slice with each reload
	drains       atomic.Pointer[drains]             // never nil
	allDown      map[string]bool                    // routes whose new conns the kernel refuses because no origin is up
	stopping     atomic.Bool                        // no new conns or flows are taken any more

	confirm   confirmation // see --confirm
	inherited bool         // the steering, or its sockets, are those of another process

	stopAsked bool         // by a signal, not by an upgrade: one more ends the process at once
	relinked  atomic.Bool  // the service manager may keep a link that is dead
	relinks   atomic.Int64 // how often the steering has made other links

	successor atomic.Int64 // the process that serves after an upgrade; 0: none
	upgrading *upgradeRun  // nil: no upgrade is under way
	reloading *reload      // nil: no reload is under way

	afterSignal sync.Mutex // held while opt.AfterSignal runs

	fleet fleetPart // zero if the routes are the file's

	slow        *slowfs.Worker // opens files that may be on a mount that hangs
	systemFiles *slowfs.Worker // the same for /etc/hosts and /etc/resolv.conf

	peers        peering             // what [fleet] peers wants, and what is in force
	doorbell     doorbell            // from the event loops to answerKnocks
	scans        scanSums            // of packets to ports that nobody serves
	refusals     chan closedService  // from the event loops to refuseMirrored
	healthNews   chan struct{}       // from noteHealth to applyHealth
	announceNews chan struct{}       // from noteAnnounce to keepAnnouncing
	decisions    chan func()         // from decide to control
	decided      chan struct{}       // closed when control has ended
	stored       map[string]int      // what the service manager has, by name
	account      *privileges.Account // steering.user; nil: this process stays the user that it is

	saver      saver                // has a mutex of its own, as kernel has
	earlier    earlier              // what processes before this one have counted
	kernel     kernelCounters       // what the kernel has counted with other programs
	drops      listenerDrops        // what it has dropped at the listeners
	before     *upgrade.Predecessor // the process that still serves; nil: none
	incoming   *incoming            // from the process that served before; nil: there was none
	stuck      atomic.Int64         // loops that did not turn when they were asked last
	standing   atomic.Int64         // since when some did not, in ns since the epoch; 0: all turn
	handing    atomic.Bool          // an upgrade is under way: the loops may stand still
	replaced   atomic.Bool          // the service manager knows that another process serves
	refusalDue <-chan time.Time     // when a route that drains begins to refuse; nil: none is in its grace
	raw        *datagram.Raw        // opened while CAP_NET_RAW is still held
	unwatch    func()               // ends what watch has started

	closers []func() error // in the order in which things were opened
}

// generation is one config in service, with everything that was derived from it. It never changes: a
// reload makes the next one, so that status and explain may read it on any goroutine.
type generation struct {
	number   int // 1 is what the process began with
	config   *config.Config
	source   fleet.Hash // names the text of its routes; "": they are the file's, or there are none
	table    *table.Table
	keys     knock.Keys    // of authenticated knocks
	peerKeys peers.Keys    // of [fleet], if it has peers
	shadowed []host.Shadow // listeners that get nothing more, as shadow_listeners allows
	loaded   time.Time
}

// open opens all that serving needs, or nothing. The order matters: what the process before offers is
// needed by the rest; everything that takes a privilege comes before the privileges are dropped; and
// another process serves until the last step.
func open(opt Options) (*daemon, error) {
	d := &daemon{opt: opt, fleetGuard: opt.fleetGuard, begun: time.Now(), decisions: make(chan func()), decided: make(chan struct{}), slow: slowfs.New(readTimeout), systemFiles: slowfs.New(systemFileTimeout), refusals: make(chan closedService, 1024), doorbell: newDoorbell(), healthNews: make(chan struct{}, 1), announceNews: make(chan struct{}, 1), stored: map[string]int{}}
	maps.Copy(d.stored, opt.Stored)
	d.drains.Store(&drains{})
	d.openLog()
	d.secrets.note(opt.Config.Source())
	d.secrets.note(opt.Config.TableText())
	d.openLowFDs()
	if err := d.openPredecessor(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	steps := []func() error{d.takeTable, d.openFleet, d.openFiles, d.openAccount, d.openAccess, d.openAdmin, d.openHTTP, d.openRoutes, d.dropPrivileges, d.awaitGo}
	if d.before != nil && d.before.Trial {
		steps = []func() error{d.takeTable, d.openFiles, d.openAccount, d.openAccess, d.openTrial, d.dropPrivileges}
	}
	for _, acquire := range steps {
		if err := acquire(); err != nil {
			return nil, errors.Join(err, d.close())
		}
	}
	return d, nil
}

// openRoutes puts the routes into service in the proxy first: the kernel steers from the moment that
// the steering is open.
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
	if g.keys, err = d.readKeys(c); err != nil {
		return err
	}
	if g.peerKeys, err = d.readPeerKeys(c); err != nil {
		return err
	}
	d.openRaw()
	if err := d.openAnnounce(); err != nil {
		return err
	}
	d.proxy = proxy.New(proxy.Options{
		Workers:  c.Listen.Workers,
		MaxFlows: d.maxFlows(),
		Raw:      d.raw,
		Mirror:   d.noteRefusal,
		Knock:    d.ring,
		Log:      d.log,
		ReadFile: d.readSystemFile,

		HealthChanged: d.noteHealth,
	})
	d.proxy.SetRecording(d.recording(c.Log))
	if err := d.resolveNames(c); err != nil {
		return err
	}
	trial := d.proxy.Try(g.table, c.Routes)
	if d.before != nil {
		d.proxy.RestoreOrigins(d.before.Origins)
	}
	if d.steering, err = d.openSteering(g); err != nil {
		return err
	}
	d.closers = append(d.closers, d.closeSteering, d.withdrawAnnounced) // the routes go first
	d.openFastPath()
	if kernel, err := d.steering.Fleet(); err == nil {
		d.proxy.UseFleet(kernel)
	}
	if d.before == nil { // else that one speaks with the peers: see awaitGo
		d.usePeers(g)
	}
	d.traces = trace.NewHub(d.steering, d.proxy, d.log)
	if d.before == nil { // else when that one counts no more new conns: see awaitGo
		d.openSaved()
	}
	trial.Keep(d.steering.Table())
	if err := d.divideFiles(); err != nil {
		return err
	}
	d.serving.Store(g)
	if err := d.openHours(); err != nil {
		return err
	}
	return d.inheritDrains()
}

// openSteering goes on with the steering of the process before, or with the sockets that the service
// manager kept of one that has ended, in whose queues clients wait. If these cannot be used, it makes
// new ones.
func (d *daemon) openSteering(g *generation) (*steering.Steering, error) {
	if d.before != nil {
		d.inherited = true
		return d.inheritSteering(g)
	}
	if len(d.stored) == 0 {
		return steering.Open(g.config, g.table, d.log)
	}
	s, err := steering.Inherit(g.config, g.table, maps.Clone(d.stored), d.log)
	if err == nil {
		d.inherited = true
		d.log.Info("serving on the sockets that the service manager kept", "kept", len(d.stored))
		return s, nil
	}
	d.log.Warn("cannot reuse the stored sockets: queued clients are refused", "error", err)
	for name := range d.stored {
		d.forgetFD(name)
	}
	return steering.Open(g.config, g.table, d.log)
}

// otherListeners returns the listeners of other processes than this one and the one before.
func (d *daemon) otherListeners() ([]host.Listener, error) {
	if d.before != nil {
		return d.before.Listeners, nil
	}
	return host.OtherListeners()
}

// prepare compiles c and checks whether this host, with these listeners of other processes, can serve
// it.
func prepare(c *config.Config, number int, others []host.Listener) (*generation, error) {
	table, err := table.Compile(c)
	if err != nil {
		return nil, err
	}
	if err := checkHTTP(c, table); err != nil {
		return nil, err
	}
	found, err := services.Check(c)
	if err != nil {
		return nil, err
	}
	shadowed, err := host.Check(c, table, others, found.Owns)
	if err != nil {
		return nil, err
	}
	return &generation{number: number, config: c, source: tableHash(c), table: table, shadowed: shadowed, loaded: time.Now()}, nil
}

// tableHash names the table that the routes of c are from.
func tableHash(c *config.Config) fleet.Hash {
	if c.TableText() == "" {
		return ""
	}
	return fleet.HashOf([]byte(c.TableText()))
}

// close closes what is held, in reverse order, so that the log, which all others need, is the last. After a
// failed open it closes what was opened so far.
func (d *daemon) close() error {
	var errs []error
	for i := len(d.closers) - 1; i >= 0; i-- {
		errs = append(errs, d.closers[i]())
	}
	return errors.Join(errs...)
}
