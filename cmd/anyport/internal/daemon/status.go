package daemon

import (
	"iter"
	"os"
	"slices"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/privileges"
	"anyport/proxy"
	"anyport/proxy/call"
	"anyport/proxy/fdbudget"
	"anyport/proxy/mailbox"
	"anyport/proxy/route"
	"anyport/steering"
	"anyport/steering/table"
)

// status asks the kernel and the proxy, and joins their answers. It runs on the goroutine of the request. The
// parts are from slightly different moments: nothing stands still for it.
//
// What it answers is saved first, so that no process after a crash counts from less.
func (d *daemon) status() admin.Status {
	defer d.save(false)
	d.pullCounters()
	kernel, err := d.steering.Status()
	kernel.Restored += d.earlier.routesRestored.Load()
	d.kernel.add(kernel.Counters)
	used := d.proxy.Files()
	return admin.Status{
		Version:       d.opt.Version,
		PID:           os.Getpid(),
		UptimeSeconds: int64(time.Since(d.begun).Seconds()),
		Stopping:      d.stopping.Load(),
		Files:         uint64(d.proxy.Budget().Limit),
		FilesUsed:     used.All(),
		FileShares:    fileShares(used),
		MaxFlows:      d.maxFlows(),
		MaxSockets:    d.maxSockets(),
		ClientFlows:   d.clientFlows,
		ClientSockets: d.clientSockets,
		Privileges:    d.privileges(),
		Loops:         d.proxy.Loops(),
		LoopsStuck:    int(d.stuck.Load()),
		Listeners:     d.listenerStatus(),
		LoopLoads:     loopLoads(d.proxy.Loads()),
		NewPeak:       d.proxy.NewPeak(),
		LocalPorts:    call.UsablePorts(),
		Log:           d.logStatus(),
		Config:        d.configStatus(),
		Steering:      steeringStatus(kernel, err),
		Routes:        withSockets(d.withHours(joinRoutes(d.proxy.Status(), kernel.Counters, d.draining)), kernel.Sockets),
		Unrouted:      admin.Counts(d.proxy.Unrouted()),
		Resolver:      resolverStatus(d.proxy.Resolving()),
		Confirm:       d.confirmStatus(),
		Scans:         d.scanStatus(),
		Peers:         d.peerStatus(),
		Doors:         d.doorStatus(time.Now()),
		Knocks:        d.knockCounts(),
		Guard:         d.guardStatus(),
		Fleet:         d.fleetStatus(),
		Left:          d.left(),
		Trial:         d.trialStatus(kernel.Trial),
		Announce:      d.announceStatus(),
	}
}

// configStatus describes the config in service, and the last reload.
func (d *daemon) configStatus() admin.ConfigStatus {
	g := d.serving.Load()
	status := admin.ConfigStatus{Path: g.config.Path, Generation: g.number, LoadedAt: g.loaded, Reloads: []admin.PastReload{}}
	if past := d.reloads.Load(); past != nil {
		status.Reloads = *past
	}
	if why := d.refused.Load(); why != nil {
		status.Refused = *why
	}
	return status
}

// privileges returns none if they cannot be read, for which no cause is known.
func (d *daemon) privileges() admin.Privileges {
	held, err := privileges.Read()
	if err != nil {
		d.log.Debug("cannot read the privileges", "error", err)
	}
	return admin.Privileges(held)
}

// fileShares is the use of file descriptors in the words of the admin API.
func fileShares(u fdbudget.Used) admin.FileShares {
	return admin.FileShares{
		Process: u.Process, Reserve: u.Reserve,
		TCP: admin.FileUse(u.TCP), Flows: admin.FileUse(u.Flows), Replies: admin.FileUse(u.Replies),
	}
}

// steeringStatus is what the kernel says. If it could not be asked, err says why and the rest is zero.
func steeringStatus(kernel steering.Status, err error) admin.SteeringStatus {
	status := admin.SteeringStatus{
		Attached:        kernel.Attached,
		Pinned:          kernel.Pinned,
		OnDeath:         string(kernel.OnDeath),
		ProgramID:       kernel.ProgramID,
		ForeignPrograms: append([]uint32{}, kernel.Foreign...), // [] in JSON, never null
		Prefixes:        kernel.Prefixes,
		Generation:      kernel.Generation,
		Missing:         append([]string{}, kernel.Missing...),
		RoutesRestored:  kernel.Restored,
		Unmatched:       map[string]uint64{},
		FastPath:        fastPathStatus(kernel.FastPath),
	}
	for _, c := range kernel.Counters {
		if c.Route == "" {
			status.Unmatched = byVerdict(c.Verdicts)
		}
	}
	if err != nil {
		status.Error = err.Error()
	}
	return status
}

func fastPathStatus(s steering.FastPathStatus) admin.FastPathStatus {
	status := admin.FastPathStatus{Off: s.Off, Way: string(s.Way), Devices: []admin.FastDevice{}}
	for _, d := range s.Devices {
		status.Devices = append(status.Devices, admin.FastDevice(d))
	}
	return status
}

// loopLoads are the event loops in the words of the admin API.
func loopLoads(loads []mailbox.Load) []admin.LoopLoad {
	all := []admin.LoopLoad{}
	for _, l := range loads {
		all = append(all, admin.LoopLoad{Name: l.Name.String(), Idle: l.Idle, BusySeconds: l.Busy.Seconds()})
	}
	return all
}

// draining reports whether a route takes nothing new.
func (d *daemon) draining(route string) bool { return d.stopping.Load() || d.drains.Load().has(route) }

// joinRoutes adds to each route what the kernel has counted under its name. A conn that a limit or a source list
// refuses is counted either by the kernel or by the proxy, never by both, so the sums are right.
func joinRoutes(served []proxy.RouteStatus, kernel []steering.Counters, draining func(route string) bool) []admin.RouteStatus {
	verdicts := map[string]map[table.Verdict]uint64{}
	for _, c := range kernel {
		verdicts[c.Route] = c.Verdicts
	}
	routes := []admin.RouteStatus{}
	for _, r := range served {
		status := routeStatus(r)
		status.Draining, status.Verdicts = draining(r.Name), byVerdict(verdicts[r.Name])
		status.Inactive = verdicts[r.Name][table.Inactive]
		for _, n := range verdicts[r.Name] {
			status.Lookups += n
		}
		status.Refused = verdicts[r.Name][table.Refuse]
		status.Dropped = verdicts[r.Name][table.Drop]
		status.Denied += verdicts[r.Name][table.Deny]
		status.Limited += verdicts[r.Name][table.Limit]
		routes = append(routes, status)
	}
	return routes
}

// withSockets adds to routes the sockets of the services that they lead to.
func withSockets(routes []admin.RouteStatus, sockets []steering.LocalSocket) []admin.RouteStatus {
	for _, s := range sockets {
		i := slices.IndexFunc(routes, func(r admin.RouteStatus) bool { return r.Name == s.Route })
		if i < 0 { // a reload is under way
			continue
		}
		local := admin.LocalSocket{
			Service: s.Name, Protocol: s.Protocol.String(), Up: s.Up, PID: s.PID, Process: s.Process,
			Cgroup: s.Cgroup, Problem: s.Problem, InKernel: s.Kernel,
		}
		if s.Addr.IsValid() {
			local.Listener = s.Addr.String()
		}
		if !s.Since.IsZero() {
			local.Since = &s.Since
		}
		routes[i].LocalSockets = append(routes[i].LocalSockets, local)
	}
	return routes
}

// routeStatus is what the proxy counts of a route.
func routeStatus(r proxy.RouteStatus) admin.RouteStatus {
	status := admin.RouteStatus{
		Name: r.Name, Protocol: r.Protocol, Prefixes: r.Prefixes, Ports: r.Ports, Action: r.Action,
		ConnsActive: r.ConnsActive, ConnsTotal: r.ConnsTotal, Denied: r.Denied, Limited: r.Limited,
		ConnsPeak: r.ConnsPeak, MaxConns: r.MaxConns, MaxFlows: r.MaxFlows, NewConnsPerSecond: r.NewConnsPerSecond, Queue: r.Queue,
		BytesToOrigin: r.BytesToOrigin, BytesToClient: r.BytesToClient, HeldBack: r.HeldBack, Fast: admin.FastStatus(r.Fast),
		Active: r.Active, Bytes: r.Bytes, Counts: admin.Counts(r.Counts), Errors: admin.Counts(r.Counts).Errors(),
		Balance: r.Balance, NewPeak: r.NewPeak, LastNew: r.LastNew, QueuePeak: r.QueuePeak,
		WaitSeconds: r.WaitSeconds, ConnectSeconds: r.ConnectSeconds, SessionSeconds: r.SessionSeconds,
		Retries: r.Retries, Moves: r.Moves, DownSeconds: r.DownSeconds, TimesDown: r.TimesDown, DownChanged: r.DownChanged,
		Connects: timesOf(r.Connects), Waits: timesOf(r.Waits), Sessions: map[string]admin.Sum{}, Origins: []admin.OriginStatus{},
		BandwidthWaiting: r.BandwidthWaiting, QueueWaiting: r.QueueWaiting, UnreachableSince: r.UnreachableSince,
	}
	for protocol, sum := range r.Sessions {
		status.Sessions[protocol] = admin.Sum(sum)
	}
	for _, o := range r.Origins {
		status.Origins = append(status.Origins, admin.OriginStatus(o))
	}
	return status
}

// timesOf counts in each bucket all those of the buckets below it, too.
func timesOf(b route.Buckets) admin.Times {
	times := admin.Times{Sum: b.Sum, AtMost: map[float64]uint64{}}
	for i, n := range b.Counts {
		times.Total += n
		if i < len(route.Bounds) {
			times.AtMost[route.Bounds[i].Seconds()] = times.Total
		}
	}
	return times
}

// byVerdict turns verdicts into the keys of a JSON object.
func byVerdict(verdicts map[table.Verdict]uint64) map[string]uint64 {
	named := map[string]uint64{}
	for v, n := range verdicts {
		named[string(v)] = n
	}
	return named
}

// conns yields the live conns and flows of a route, or of all if it is "", page by page: no list of a million
// conns is ever in memory, and each loop stands still for one page at most.
func (d *daemon) conns(name string) iter.Seq[route.Conn] {
	return func(yield func(route.Conn) bool) {
		for page := range d.proxy.Conns {
			for _, c := range page {
				if (name == "" || c.Route == name) && !yield(c) {
					return
				}
			}
		}
	}
}
