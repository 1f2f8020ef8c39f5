package proxy

import (
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"

	"anyport/config"
	"anyport/proxy/datagram"
	"anyport/proxy/fdbudget"
	"anyport/proxy/mailbox"
	"anyport/proxy/probe"
	"anyport/proxy/route"
	"anyport/proxy/trend"
	"anyport/proxy/udp"
)

// Options are what a Server needs besides its routes.
type Options struct {
	Workers  int           // sockets per protocol, each a UDP loop; ≥ 1
	MaxFlows int           // UDP flows of all routes together
	Raw      *datagram.Raw // for UDP answers that no bound socket can send; nil: Serve opens it, which needs CAP_NET_RAW
	Mirror   route.Mirror  // called for a dst that its origins have refused, if the route has mirror_closed; may be nil
	Knock    udp.Knock     // gets datagrams of no flow first; may be nil
	Log      *slog.Logger

	HealthChanged func()                            // called when origins went down or came back, and after a reload; must not block; may be nil
	ReadFile      func(path string) ([]byte, error) // reads /etc/hosts and /etc/resolv.conf, for origins that are DNS names; it must return in bounded time. nil: there are no such origins
}

// Server serves the conns and flows of the routes in service. Its methods may be called from any
// goroutine, except those that are for before Serve.
type Server struct {
	opt      Options
	tcpLoops int // at least one for each core
	routes   *route.Live
	names    *names

	pulse    *mailbox.Pulse
	arrived  uint64     // conns and flows that look has found; only its goroutine has it
	arrivals trend.Rate // of arrived

	opening atomic.Int32  // kinds of loop (TCP, UDP) that have not opened their files yet
	opened  chan struct{} // closed when all are

	budget atomic.Pointer[fdbudget.Budget] // nil: no bound
	shares *fdbudget.Shares                // of it

	checks        *probe.Runner
	checked       atomic.Pointer[route.Set] // the generation whose checks are made
	settingChecks sync.Mutex                // held by setChecks: a reload and a change of addresses may come at once
	handedOver    chan struct{}             // closed when another process serves

	fast     udp.FastPath // nil: there is none
	fastLeft udp.FastLeft // of a process that has died; nil: there was none
	fleet    udp.Fleet    // nil: there is none
	flows    []udp.Flow   // of another process: Serve begins with them
	expected int          // files of the conns that it moves here later
	handovers
	moves moves
}

// New makes a Server that forwards nothing until the first Try.
func New(opt Options) *Server {
	// TCP relays on all cores, even if it accepts from fewer sockets.
	tcpLoops := max(opt.Workers, runtime.GOMAXPROCS(0))
	routes := route.NewLive(tcpLoops + opt.Workers)
	s := &Server{
		opt:      opt,
		tcpLoops: tcpLoops,
		routes:   routes,
		pulse:    mailbox.NewPulse(),
		opened:   make(chan struct{}),

		handovers: newHandovers(),
		moves:     newMoves(),

		handedOver: make(chan struct{}),
	}
	s.names = newNames(opt, routes, s.renewOrigins)
	s.checks = probe.NewRunner(opt.Log, s.originsChanged)
	s.routes.Watch(s.setChecks) // until the Server is garbage
	return s
}

// Loops is the number of event loops that Serve runs. Each is a goroutine that is rarely idle under
// load.
func (s *Server) Loops() int { return s.tcpLoops + s.opt.Workers }

// Stuck returns how many loops have not turned since it was called last.
func (s *Server) Stuck() int { return s.pulse.Ask() }

// Try puts a new table and its routes into service on trial: until Keep or Undo, conns and flows for
// which table has no route still go by the routes before. Live ones stay with the route that they
// began with. Trials must not race.
func (s *Server) Try(table route.Table, routes []*config.Route) *route.Trial {
	return s.routes.Try(table, routes)
}

// UseFastPath has the kernel forward UDP flows that user space need not decide on. left are those that
// it still forwards of a process that has died; nil: there are none. It must be called before Serve.
func (s *Server) UseFastPath(kernel udp.FastPath, left udp.FastLeft) {
	s.fast, s.fastLeft = kernel, left
}

// UseFleet has other hosts asked about UDP flows that are not here. It must be called before Serve.
func (s *Server) UseFleet(hosts udp.Fleet) { s.fleet = hosts }

// SetRecording has conns and flows recorded as r says from now on, live ones included.
func (s *Server) SetRecording(r route.Recording) { s.routes.SetRecording(r) }

// SetTrace has to called at each step of each conn and flow from now on, on the goroutines of the loops, or no
// more if it is nil. It must not block.
func (s *Server) SetTrace(to func(route.Traced)) { s.routes.SetTrace(to) }

// Drain stops the route of that name from taking new conns and flows, or ends that. Live ones go on.
func (s *Server) Drain(route string, on bool) { s.routes.Drain(route, on) }

// Kill ends all live conns and flows that match, with the verdict killed, and returns their number. match
// runs on the goroutines of the loops, one loop at a time.
func (s *Server) Kill(match func(*route.Conn) bool) (ended int) { return s.routes.Kill(match) }

// Conns yields all live conns and flows, a page at a time; the page is the iterator's.
func (s *Server) Conns(yield func(page []route.Conn) bool) { s.routes.Conns(yield) }
