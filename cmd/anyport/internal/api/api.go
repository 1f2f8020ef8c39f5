package api

import (
	"context"
	"iter"
	"log"
	"log/slog"
	"net"
	"net/netip"
	"sync"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
	"anyport/proxy/route"
)

// Service is what the server asks: a running anyport. Its methods are called by many goroutines at
// once. An error is the reason of a refusal, which the client prints.
type Service interface {
	Status() admin.Status
	About() admin.About
	Drift() (admin.Drift, error)

	// Sysdump is what only the process itself knows, without the secrets of its files.
	Sysdump() (admin.Sysdump, error)

	Explain(admin.Question) (admin.Explained, error)

	// Conns yields the live conns and flows of a route, or of all if it is "". They are read page by
	// page, so that many of them take no memory.
	Conns(route string) (iter.Seq[route.Conn], error)

	// Left are the processes that upgrades have replaced and that still have conns: these are not among
	// Conns, and Kill does not reach them.
	Left() []admin.Left

	// PortMap says what becomes of every port of the prefix that holds addr; of the first prefix if addr is not
	// valid.
	PortMap(protocol config.Protocol, addr netip.Addr) (admin.PortMap, error)

	// Scans lists who sends to ports that nobody serves: the first of each kind.
	Scans(limit int) (admin.Scans, error)
	// Trace shows what is decided about packets, conns and flows, as it happens. The caller closes it.
	Trace(filter admin.TraceFilter) (Tracer, error)

	// Kill ends the live conns and flows that match, which filter says in words, and returns their
	// number. match runs on the goroutines of the loops, one loop at a time.
	Kill(ctx context.Context, filter admin.FlowFilter, match func(*route.Conn) bool) (ended int, err error)

	// Drain makes a route, or all if it is "", take no new conns, or take them again. With wait it
	// returns when the last conn has ended, or ctx.
	Drain(ctx context.Context, order admin.DrainOrder) (admin.Drained, error)

	// Origin forces a state on an origin, or sets its weight, and returns its status then.
	Origin(ctx context.Context, order admin.OriginOrder) (admin.OriginStatus, error)

	// Reload loads the file again, or with dryRun only says what that would change. preloaded are descriptors, by
	// name, of what asks the peers of the fleet; they stay the server's.
	Reload(ctx context.Context, dryRun bool, preloaded map[string]int) (admin.Reloaded, error)

	// Share loads the file again for some percent of the clients, and EndShare has it serve all of them; or
	// without all, none.
	Share(ctx context.Context, percent float64) (admin.Reloaded, error)
	EndShare(ctx context.Context, all bool) (admin.Reloaded, error)

	// Confirm keeps what a run with --confirm would give back.
	Confirm(ctx context.Context) (admin.Confirmed, error)

	// Upgrade makes another process serve.
	Upgrade(ctx context.Context, order UpgradeOrder) (admin.Upgraded, error)

	// Live says whether the process works, and Ready whether new conns should come to it. Both are
	// asked often and must be cheap.
	Live() admin.Health
	Ready() admin.Health

	// Admin is the table [admin] in service.
	Admin() config.Admin
}

// UpgradeOrder is an upgrade as it was asked for.
type UpgradeOrder struct {
	Binary string         // "": the binary of this process, as it is on disk now
	Root   bool           // root asks: it may choose any binary
	Files  map[string]int // of a spare steering program, by name; they stay the server's

	Share float64        // percent of the clients whose TCP conns the new process takes; 0: it takes the place of this one
	End   admin.TrialEnd // of a process with a share: all or back; "": none
}

// API answers for one Service.
type API struct {
	service  Service
	log      *slog.Logger
	plainLog *log.Logger // for net/http, which knows no other
	events   *events     // of admin.http

	costly sync.Mutex // held by a question over HTTP that takes long: one at a time
}

// New makes the API of a service. plainLog is for what net/http itself reports.
func New(service Service, log *slog.Logger, plainLog *log.Logger) *API {
	return &API{service: service, log: log, plainLog: plainLog, events: newEvents(service.Status)}
}

// ServeSocket answers on the admin socket until stop is called, which first lets every request that
// was read have its answer. If the listener fails before, the error goes to failed. The members of a
// group may ask for what changes nothing; NoGroup: there is none.
func (a *API) ServeSocket(listener net.Listener, group int, failed chan<- error) (stop func()) {
	return serve(usualTimeouts, fileListener{listener, group}, a.socketHandler(), a.plainLog, failed)
}

// ServeWeb answers on admin.http, likewise.
func (a *API) ServeWeb(listener net.Listener, failed chan<- error) (stop func()) {
	stopServer := serve(usualTimeouts, listener, a.webHandler(), a.plainLog, failed)
	return func() {
		_ = listener.Close() // pages that lose their stream ask again, and not here
		a.events.end()
		stopServer()
	}
}
