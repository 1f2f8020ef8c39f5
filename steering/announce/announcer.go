package announce

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"anyport/config"
)

// Announcer keeps the routes of [announce] in the kernel. Its methods may be called from any goroutine; mu
// guards what is below it. It starts no goroutine: who has it calls Update again and again.
type Announcer struct {
	log    *slog.Logger
	moving func()

	mu       sync.Mutex
	routes   *routes // nil: announce.table was 0 so far
	book     *book
	config   config.Announce
	verdicts map[netip.Prefix]Verdict
	problem  string // of this host
	refused  string // why a withdrawal waits; "": none does
	failed   string // what the kernel has refused
	restored uint64
	stopped  bool

	asked  time.Time // when permission to withdraw was asked for last
	warned time.Time // when a restore was logged last
}

// warnInterval is how often a restore is logged at most: a program that flushes the table does so again and
// again.
const warnInterval = time.Minute

// New returns an Announcer without routes. It calls moving before a prefix gets its first route or loses its last
// one, because routers will then send packets of living conns and flows elsewhere.
func New(log *slog.Logger, moving func()) *Announcer {
	return &Announcer{log: log, moving: moving, book: newBook(nil)}
}

// Inherit goes on with the device and the routes of another process, by the descriptor of Handover, which
// it owns, and with its points.
func (a *Announcer) Inherit(fd int, points []Damping) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, err := inheritRoutes(fd)
	if err != nil {
		return err
	}
	standing := map[netip.Prefix]bool{}
	for route := range r.own {
		standing[route.Prefix] = true
	}
	a.routes, a.book = r, newBook(standing)
	a.book.remember(points)
	return nil
}

// Prepare makes the device if c needs one, so that Update cannot fail for want of it.
func (a *Announcer) Prepare(c config.Announce) (err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.Table != 0 && a.routes == nil && !a.stopped {
		a.routes, err = openRoutes()
	}
	return err
}

// Update decides by the facts which prefixes have a route, and brings the kernel into line. Before it withdraws
// anything for want of readiness it asks permit, without the mutex, because the answer comes over the network;
// nil always permits.
func (a *Announcer) Update(ctx context.Context, c config.Announce, f Facts, permit Permit) {
	permitted, why := a.ask(ctx, f, permit)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopped || a.routes == nil {
		return
	}
	a.config, a.problem = c, f.Problem
	if why != a.refused && why != "" {
		a.log.Error("prefixes stay announced though this host is not ready", "because", why, "problem", f.Problem)
	}
	a.refused = why
	before, standing := a.verdicts, a.book.standing
	a.verdicts = a.book.decide(f, permitted)
	if !maps.Equal(standing, a.book.standing) {
		a.moving()
	}
	a.logChanges(before)
	a.apply(f.Now)
}

// apply makes the kernel's routes those of the verdicts, and adds again what others have removed.
func (a *Announcer) apply(now time.Time) {
	back, restoreErr := a.routes.restore()
	if len(back) > 0 {
		a.restored += uint64(len(back))
		if now.Sub(a.warned) >= warnInterval {
			a.warned = now
			a.log.Warn("somebody else has removed announced routes: they are there again", "first", back[0].String(), "routes", len(back), "put_back_since_start", a.restored)
		}
	}
	failed := ""
	if err := errors.Join(restoreErr, a.routes.set(wanted(a.config, a.verdicts))); err != nil {
		failed = err.Error()
	}
	if failed != "" && failed != a.failed {
		a.log.Error("cannot announce prefixes", "error", failed)
	}
	a.failed = failed
}

// wanted are the routes of these verdicts.
func wanted(c config.Announce, verdicts map[netip.Prefix]Verdict) routeSet {
	set := routeSet{}
	for prefix, v := range verdicts {
		switch {
		case c.Table == 0 || !v.Stands():
		case v == Draining:
			set[Route{c.Table, prefix, c.Metric + config.DrainMetric}] = true
		default:
			set[Route{c.Table, prefix, c.Metric}] = true
		}
	}
	return set
}

// logChanges logs which verdicts have changed, a line for each verdict.
func (a *Announcer) logChanges(before map[netip.Prefix]Verdict) {
	if a.config.Table == 0 {
		return
	}
	changed := map[Verdict][]netip.Prefix{}
	for p, v := range a.verdicts {
		if before[p] != v {
			changed[v] = append(changed[v], p)
		}
	}
	for _, v := range Verdicts {
		if all := changed[v]; len(all) > 0 {
			first := slices.MinFunc(all, netip.Prefix.Compare)
			a.log.Info("the verdict on announced prefixes has changed", "verdict", string(v), "first", first, "prefixes", len(all), "problem", a.problem)
		}
	}
}

// Withdraw removes all routes, for good: Update does nothing any more. It returns how many there were.
func (a *Announcer) Withdraw() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopped = true
	if a.routes == nil {
		return 0
	}
	n = len(a.routes.own)
	if err := a.routes.set(nil); err != nil { // they end with the device
		a.log.Error("cannot remove the announced routes", "error", err)
	}
	for p := range a.verdicts {
		a.verdicts[p] = Stopping
	}
	if n > 0 {
		a.log.Info("the verdict on announced prefixes has changed", "verdict", string(Stopping), "prefixes", len(a.verdicts))
	}
	return n
}

// Handover returns the descriptor of the device for another process that goes on with the routes; it stays the
// Announcer's. -1: there is none.
func (a *Announcer) Handover() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.routes == nil {
		return -1
	}
	return a.routes.device.FD()
}

// Close ends it. The routes stay while another process has the device; Withdraw removes them before.
func (a *Announcer) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.routes == nil {
		return nil
	}
	err := a.routes.close()
	a.routes, a.stopped = nil, true
	return err
}
