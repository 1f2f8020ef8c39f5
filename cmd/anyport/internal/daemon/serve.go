package daemon

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"anyport/cmd/anyport/internal/api"
	"anyport/cmd/anyport/internal/logging"
	"anyport/config"
)

// serve carries the traffic until an order to stop, and then until the last conn has ended. Its deferred calls end
// in this order: the watchdog, admin.http, the admin socket (both answer what they have read), and the
// watchers. The steering is closed after that, by close.
func (d *daemon) serve(ctx context.Context) error {
	// One processor of Go's for each loop: the kernel divides the cores sooner than Go's scheduler, which
	// lets a busy goroutine run for 10 ms.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(d.proxy.Loops() + 1))

	proxying, drain := context.WithCancel(context.Background())
	defer drain()
	served := make(chan error, 3)

	// Serve returns after drain, with the last conn.
	go func() { served <- d.proxy.Serve(proxying, d.steering.TCP(), d.steering.UDP()) }()
	if d.incoming != nil {
		go d.receiveConns(d.incoming) // ended by the process before, or its silence
	}

	saving, stopSaving := context.WithCancel(context.Background())
	defer stopSaving()
	go d.keepSaving(saving) // until this process ends: also while another one serves

	defer d.watchFleet()() // ends before the steering is closed, and after the last answer
	d.openScans()
	d.watch()
	defer func() { d.unwatch() }()

	answers := api.New(service{d}, d.log, logging.Plain(d.log))
	if d.admin != nil {
		defer answers.ServeSocket(d.admin, d.adminGroup, served)()
	}
	if d.web != nil {
		defer answers.ServeWeb(d.web, served)()
	}
	defer d.killTrial()
	defer d.endTraces() // or stopping the servers would wait for them

	d.logServing()
	d.logGuard()
	d.opt.Guard.Serving()
	d.awaitConfirmation()
	d.storeFDs()
	d.checkNotified(d.opt.Manager.Ready(d.statusLine()))
	defer d.startWatchdog()()
	if d.opt.Ready != nil {
		d.opt.Ready()
	}
	return d.control(ctx, drain, served)
}

// watch starts the goroutines that look after the steering and the admin socket, until unwatch has
// returned.
func (d *daemon) watch() {
	ctx, cancel := context.WithCancel(context.Background())
	var watchers sync.WaitGroup // ended by unwatch
	watchers.Go(func() { d.steering.Watch(ctx, func() { d.storeLink(ctx) }) })
	watchers.Go(func() { d.steering.WatchServices(ctx) })
	watchers.Go(func() { d.releaseDropped(ctx) })
	watchers.Go(func() { d.refuseMirrored(ctx) })
	watchers.Go(func() { d.answerKnocks(ctx) })
	watchers.Go(func() { d.watchDoors(ctx) })
	watchers.Go(func() { d.keepPeers(ctx) })
	watchers.Go(func() { d.watchScans(ctx) })
	watchers.Go(func() { d.watchFileLimit(ctx) })
	watchers.Go(func() { d.keepAnnouncing(ctx) })
	if d.admin != nil {
		watchers.Go(func() { d.admin.KeepFile(ctx, d.account, d.log) })
	}
	d.unwatch = func() {
		cancel()
		watchers.Wait()
	}
}

// stop refuses new conns and lets the live ones end. UDP is still steered: the datagrams of live flows
// come through the same socket as new ones.
func (d *daemon) stop(drain func()) {
	d.stopAsked = true
	if d.stopping.Swap(true) {
		return
	}
	d.opt.Guard.Stopped()
	d.checkNotified(d.opt.Manager.Stopping(fmt.Sprintf("waiting for %d conns", d.active()), d.longestDrain()+stopSlack))
	if d.announce.Withdraw() == 0 {
		d.refuseNew(drain)
		return
	}
	d.log.Info("stopping: the announced routes are removed, new conns are refused in a moment", "wait", withdrawTime)
	go func() { // ends after withdrawTime, and the wait for handshakes
		wait := time.After(withdrawTime)
		d.warnLastHost()
		<-wait
		d.refuseNew(drain)
	}()
}

// refuseNew has the kernel refuse new conns, and ends the accepting.
func (d *daemon) refuseNew(drain func()) {
	if err := d.steering.Refuse(config.TCP); err != nil {
		d.log.Error("cannot refuse new conns in the kernel", "error", err)
	}
	d.drainAfterHandshakes(drain)
	d.log.Info("stopping: nothing new is taken, live conns may end", "conns", d.active(),
		"hint", "one more signal stops at once")
}

// logServing logs what is served, and with what limits.
func (d *daemon) logServing() {
	g, budget := d.serving.Load(), d.proxy.Budget()
	d.log.Info("serving", "version", d.opt.Version, "pid", os.Getpid(), "config", g.config.Path,
		"routes", len(g.config.Routes), "prefixes", g.table.Prefixes(),
		"loops", d.proxy.Loops(), "files", budget.Limit, "files_reserve", budget.Reserve, "files_tcp", budget.TCP+budget.Common,
		"files_flows", budget.Flows+budget.Common, "files_replies", budget.Replies+budget.Common, "max_flows", d.maxFlows(), "max_flow_sockets", d.maxSockets(),
		"admin", g.config.Admin.Socket, "http", g.config.Admin.HTTP)
	d.warnShadowed(g)
}

// warnShadowed names the listeners that get nothing more.
func (d *daemon) warnShadowed(g *generation) {
	for _, s := range g.shadowed {
		d.log.Warn("a listener is not reached any more, as steering.shadow_listeners allows", "listener", s.Addr, "protocol", s.Protocol,
			"process", s.Owner(), "addresses", s.Taken)
	}
}

// statusLine is one line about what is served, for the service manager.
func (d *daemon) statusLine() string {
	g := d.serving.Load()
	return fmt.Sprintf("serving %d routes on %d prefixes, generation %d", len(g.config.Routes), g.table.Prefixes(), g.number)
}

// stopSlack is how long a stop takes beside waiting for conns.
const stopSlack = 10 * time.Second

// longestDrain is how long conns may outlive the order to stop.
func (d *daemon) longestDrain() (longest time.Duration) {
	for _, r := range d.serving.Load().config.Routes {
		longest = max(longest, r.Drain)
	}
	return longest
}

// active is the number of live conns and flows.
func (d *daemon) active() (total int64) {
	for _, n := range d.activeByRoute() {
		total += n
	}
	return total
}

// activeByRoute counts the live conns and flows of each route in service.
func (d *daemon) activeByRoute() map[string]int64 {
	active := map[string]int64{}
	for _, r := range d.proxy.Status() {
		active[r.Name] = r.ConnsActive
	}
	return active
}

// every calls do each interval. It returns when ctx ends.
func every(ctx context.Context, interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}
