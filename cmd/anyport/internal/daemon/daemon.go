package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/alarm"
	"anyport/cmd/anyport/internal/crashloop"
	"anyport/cmd/anyport/internal/handover"
	"anyport/cmd/anyport/internal/logging"
	"anyport/cmd/anyport/internal/privileges"
	"anyport/cmd/anyport/internal/slowfs"
	"anyport/cmd/anyport/internal/socket"
	"anyport/cmd/anyport/internal/systemd"
	"anyport/cmd/anyport/internal/trace"
	"anyport/cmd/anyport/internal/upgrade"
	"anyport/config"
	"anyport/proxy"
	"anyport/proxy/datagram"
	"anyport/steering"
	"anyport/steering/announce"
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
	lines   *logging.Log // the log
	log     *slog.Logger // the same, for those who only write to it
	secrets knownSecrets // of all files so far, for sysdump
	begun   time.Time    // for uptime_seconds
	files   uint64       // file descriptors that this process might open when it began

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
