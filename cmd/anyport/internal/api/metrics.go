package api

import (
	"iter"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
	"anyport/proxy/route"
)

// The metrics. docs/reference/metrics.md is made from them. The route is "" of what no route takes; a
// conn or flow is counted by its verdict once it has ended, or was never begun.
var (
	buildInfo    = metric("build_info", "What runs: always 1.", "version", "go_version")
	configNumber = metric("config_generation", "The config in service: 1, and one more with each reload.")
	reloadDone   = metric("config_last_reload_successful", "1 if the last reload succeeded, or there was none.")
	reloadedAt   = metric("config_loaded_timestamp_seconds", "When the config in service was loaded.")
	isStopping   = metric("stopping", "1 while the process takes nothing new and waits for live conns to end.")
	loops        = metric("event_loops", "Event loops that carry traffic.")
	loopsStuck   = metric("event_loops_stuck", "Event loops that did not respond when they were last asked.")
	loopsBusy    = metric("event_loop_busy_seconds_total", "How long an event loop has worked. 1 less its rate is the share in which it was idle.", "loop")
	guarded      = metric("config_guarded", "1 while the last config that lasted serves, in place of the file, because anyport has died with that.")
	guardDeaths  = metric("config_deaths", "Deaths of anyport with the file, each within a minute of a start or reload, in the hour before the start.")
	logLost      = metric("log_lines_lost_total", "Lines that are not in the log: process (stderr) or access.", "log")

	filesLimit = metric("files_limit", "File descriptors that this process may open.")
	filesUsed  = metric("files_used", "File descriptors in use, by what for.", "use")
	filesKept  = metric("files_reserved", "File descriptors that no conn and no flow may use: for commands, the log, health checks, a reload, an upgrade.")
	filesMost  = metric("files_usable", "File descriptors that this use may have, with everything that is not taken by another one's guaranteed part.", "use")
	flowsMost  = metric("flows_limit", "UDP flows that all routes together may have.")
	socketMost = metric("flow_sockets_limit", "UDP flows with a socket of their own that there may be, by files and local ports.")
	portsMost  = metric("local_ports", "Local ports from which one address can dial one port of an origin: net.ipv4.ip_local_port_range without the reserved ones.")

	acceptQueue   = metric("accept_queue_length", "Conns that wait to be accepted.", "worker")
	acceptMost    = metric("accept_queue_limit", "Conns that may wait to be accepted.", "worker")
	acceptLost    = metric("accept_queue_overflows_total", "SYNs and last packets of handshakes that the kernel dropped at the listeners, because the accept queue was full.")
	receiveBuffer = metric("udp_receive_buffer_bytes", "Memory of the datagrams that wait to be read from the listener.", "worker")
	receiveMost   = metric("udp_receive_buffer_limit_bytes", "Memory that datagrams may take there.", "worker")

	attached        = metric("steering_attached", "1 while the program of anyport is attached.")
	isPinned        = metric("steering_pinned", "1 while the steering is pinned, so that it outlives the process.")
	isExposed       = metric("steering_exposed_on_death", "1 while served addresses would lead to the host's own listeners if this process were killed.")
	foreignPrograms = metric("steering_foreign_programs", "Others' sk_lookup programs in this network namespace.")
	prefixes        = metric("steering_prefixes", "Distinct prefixes served.")
	missing         = metric("steering_missing", "What the steering needs and other programs have removed, such as local routes: see anyport status.")
	routesRestored  = metric("steering_routes_restored_total", "Local routes that other programs removed and anyport restored.")
	lookups         = metric("steering_lookups_total", "SYNs and datagrams that the kernel decided on. With SYN cookies it sees a conn twice.", "route", "verdict")

	connsTotal  = metric("connections_total", "Conns (tcp) and flows (udp) that ended or were never begun.", "route", "protocol", "verdict")
	connsActive = metric("connections_active", "Live conns (tcp) and flows (udp).", "route", "protocol")
	bytesTotal  = metric("bytes_total", "Payload relayed.", "route", "protocol", "direction")
	datagrams   = metric("datagrams_total", "Datagrams by what became of them.", "route", "direction", "verdict")
	heldBack    = metric("held_back_bytes_total", "Answers over amplification_budget, to clients that had not proved that they are there.", "route")
	fastFlows   = metric("fast_flows", "UDP flows that the kernel forwards by itself: see fast_path.", "route")
	fastSent    = metric("fast_datagrams_total", "Datagrams that the kernel has forwarded by itself; anyport_datagrams_total counts them, too.", "route", "direction")
	fastRefused = metric("fast_refused_total", "UDP flows that were left to user space, by why.", "route", "reason")
	waiting     = metric("bandwidth_waiting", "Conns that wait for route_bandwidth, on routes that have it.", "route", "direction")
	queued      = metric("queue_waiting", "Conns that wait for an origin at its max_conns, on routes with a queue.", "route")
	queueWait   = metric("queue_wait_seconds", "How long conns waited for an origin at its max_conns, of those that then got one.", "route")
	sessions    = metric("sessions_total", "Conns and flows that reached an origin and have ended.", "route", "protocol")
	sessionTime = metric("session_seconds_total", "How long these lasted, all together: its rate by that of anyport_sessions_total is the average.", "route", "protocol")
	retries     = metric("retries_total", "Dials that were not the first of their conn or flow, by whether the one before was of the same server or of another one.", "route", "server")
	routeDown   = metric("route_down_seconds_total", "How long no origin of the route was up.", "route")
	routeActive = metric("route_active", "1 while the route is in force, on routes with active.", "route")
	routeDrains = metric("route_draining", "1 while the route takes nothing new.", "route")

	localSocketUp = metric("local_socket_up", "1 while the service has a socket to give packets to, on routes with action = \"socket\".", "route", "protocol")
	doorsOpen     = metric("doors_open", "Clients that have opened the door by a knock, on routes where there is one.", "route")
	knocks        = metric("knocks_total", "Authenticated knocks, by what became of them.", "verdict")

	announced        = metric("announce_prefixes", "Prefixes by what was decided about them, with announce.table. A route stands for those that are announced, draining or kept.", "verdict")
	announceFlaps    = metric("announce_flaps_total", "Withdrawals of this host's prefixes, or of a route's, because it was not ready.")
	announceRestored = metric("announce_routes_restored_total", "Announced routes that other programs removed and anyport restored.")

	scanPackets = metric("scan_packets_total", "SYNs and datagrams to ports that nobody serves: those that the kernel reported, and those that it skipped because there were too many.", "outcome")
	scanClients = metric("scan_clients", "Clients that have sent to ports that nobody serves in the last day, 1,024 at most.")

	originUp       = metric("origin_up", "1 while new conns and flows may go to the origin; 0 while it is down by its checks or by hand, ejected, or refuses UDP flows.", "route", "origin")
	originRefusals = metric("origin_refusals_total", "ICMP errors from the origin, or from routers on the way, that UDP flows received.", "route", "origin")
	originDials    = metric("origin_dial_failures_total", "Dials of the origin for conns that failed.", "route", "origin")
	originErrors   = metric("origin_connect_errors_total", "Conns and flows that the origin did not take, by why.", "route", "origin", "error")
	originChanges  = metric("origin_state_changes_total", "How often the origin came to be up, or to be left out for this cause.", "route", "origin", "cause")
	originWeight   = metric("origin_weight", "The weight of the origin for new conns and flows.", "route", "origin")
	originTotal    = metric("origin_connections_total", "Conns and flows given to the origin.", "route", "origin")
	originActive   = metric("origin_connections_active", "Live conns and flows of the origin.", "route", "origin")
	checkSeconds   = metric("origin_check_seconds", "How long the last active check of the origin took.", "route", "origin")
	checkPassed    = metric("origin_check_passed", "1 if the last active check of the origin passed.", "route", "origin")
	sourcePorts    = metric("source_ports_used", "Local ports that live TCP conns to the origin use, by source address (auto: the kernel chooses it). Each address has anyport_local_ports of them for each port of an origin.", "route", "origin", "source")
	connectTime    = metric("origin_connect_seconds", "How long origins took to accept a conn, on routes that have dialled one.", "route")

	originDown      = metric("origin_down_seconds_total", "How long the origin was down, by its checks or by hand, or ejected.", "route", "origin")
	originChecks    = metric("origin_checks_failed_total", "Active checks of the origin that failed.", "route", "origin")
	originAccepts   = metric("origin_accepts_total", "Conns that the origin has accepted.", "route", "origin")
	originAcceptIn  = metric("origin_accept_seconds_total", "How long the origin took to accept these, all together.", "route", "origin")
	originSessions  = metric("origin_sessions_total", "Conns and flows of the origin that have ended.", "route", "origin")
	originSessionIn = metric("origin_session_seconds_total", "How long these lasted, all together.", "route", "origin")
	originRetries   = metric("origin_retries_total", "Dials of the origin that were not the first of their conn or flow.", "route", "origin")
	originLeft      = metric("origin_left_total", "Conns and flows that went on to another server after a dial of this one had failed.", "route", "origin")
	originSlow      = metric("origin_slow_start_ratio", "The part of its weight that the origin gets while it comes back, on routes with slow_start.", "route", "origin")

	sourceUp      = metric("fleet_source_up", "1 while the source of the table answers. Without a contact the last table serves on.")
	sourceAge     = metric("fleet_source_contact_age_seconds", "How long ago the source has answered.")
	tableInfo     = metric("fleet_table_info", "The table in service, by the SHA-256 of its text; empty: none, so nothing is served. Always 1.", "table")
	tableCurrent  = metric("fleet_table_current", "1 while the table in service is the one that the source names for this host.")
	tablesRefused = metric("fleet_tables_refused_total", "Tables of the source that this host has refused, since the process began.")
	reportWritten = metric("fleet_report_written", "1 if the last report of this host was written; 0: see anyport status.")

	nameResolved  = metric("dns_name_resolved", "1 if the last attempt to resolve the name of an origin succeeded; 0: its last addresses stay in use.", "name")
	nameAddresses = metric("dns_name_addresses", "Addresses of the name that are in use.", "name")
)

// export writes one status in the names of Prometheus.
func (e *exporter) export(s admin.Status) {
	e.process(s)
	e.steering(s.Steering)
	e.lookups("", s.Steering.Unmatched)
	e.counts("", s.Unrouted)
	for i := range s.Routes {
		e.route(&s.Routes[i])
	}
	if s.Fleet != nil {
		e.fleet(s.Fleet)
	}
	if s.Resolver != nil {
		for _, n := range s.Resolver.Names {
			e.flag(nameResolved, n.Error == "", n.Name)
			e.gauge(nameAddresses, float64(len(n.Addresses)), n.Name)
		}
	}
}

// fleet exports a host's part in a fleet.
func (e *exporter) fleet(f *admin.FleetStatus) {
	e.flag(sourceUp, f.Up)
	if f.ContactSeconds != nil {
		e.gauge(sourceAge, *f.ContactSeconds)
	}
	e.gauge(tableInfo, 1, f.Table)
	e.flag(tableCurrent, f.Table != "" && f.Table == f.Wanted)
	e.counter(tablesRefused, f.RefusedTotal)
	if strings.HasPrefix(f.Source, "etcd:") {
		e.flag(reportWritten, f.Reports && f.ReportProblem == "")
	}
}

// announce exports nothing without announce.table.
func (e *exporter) announce(a *admin.AnnounceStatus) {
	if a == nil {
		return
	}
	for _, verdict := range slices.Sorted(maps.Keys(a.Prefixes)) {
		e.gauge(announced, float64(a.Prefixes[verdict]), verdict)
	}
	var flaps uint64
	for _, p := range a.Parts {
		flaps += p.Flaps
	}
	e.counter(announceFlaps, flaps)
	e.counter(announceRestored, a.RoutesRestored)
}

// process exports what is of the process as a whole.
func (e *exporter) process(s admin.Status) {
	e.gauge(buildInfo, 1, s.Version, runtime.Version())
	e.gauge(configNumber, float64(s.Config.Generation))
	e.flag(reloadDone, s.Config.Refused == "")
	for _, l := range s.LoopLoads {
		e.seconds(loopsBusy, l.BusySeconds, l.Name)
	}
	e.flag(guarded, s.Guard.Guarded)
	e.gauge(guardDeaths, float64(s.Guard.Deaths))
	e.gauge(reloadedAt, float64(s.Config.LoadedAt.UnixMilli())/1000)
	e.flag(isStopping, s.Stopping)
	e.gauge(loops, float64(s.Loops))
	e.gauge(loopsStuck, float64(s.LoopsStuck))
	e.counter(logLost, s.Log.AccessLost, "access")
	e.counter(logLost, s.Log.Lost, "process")
	e.gauge(flowsMost, float64(s.MaxFlows))
	e.gauge(socketMost, float64(s.MaxSockets))
	e.gauge(portsMost, float64(s.LocalPorts))
	e.files(s.Files, s.FileShares)
	e.queues(acceptQueue, acceptMost, s.Listeners.Accept)
	e.queues(receiveBuffer, receiveMost, s.Listeners.Receive)
	e.counter(acceptLost, s.Listeners.AcceptOverflows)
	e.knocks(s)
	e.announce(s.Announce)
	e.counter(scanPackets, s.Scans.Reported, "reported")
	e.counter(scanPackets, s.Scans.Skipped, "skipped")
	e.gauge(scanClients, float64(s.Scans.Clients))
}

// files exports who holds file descriptors.
func (e *exporter) files(limit uint64, shares admin.FileShares) {
	e.gauge(filesLimit, float64(limit))
	e.gauge(filesKept, float64(shares.Reserve))
	e.gauge(filesUsed, float64(shares.Process), "process")
	for _, u := range []struct {
		use string
		admin.FileUse
	}{{"flows", shares.Flows}, {"replies", shares.Replies}, {"tcp", shares.TCP}} {
		e.gauge(filesUsed, float64(u.Held), u.use)
		e.gauge(filesMost, float64(u.Most), u.use)
	}
}

// knocks exports the doors of each route that has any, and the datagrams that knocked.
func (e *exporter) knocks(s admin.Status) {
	open := map[string]int{}
	for _, d := range s.Doors {
		open[d.Route]++
	}
	for route, n := range sorted(open) {
		e.gauge(doorsOpen, float64(n), route)
	}
	for verdict, n := range sorted(s.Knocks) {
		e.counter(knocks, n, verdict)
	}
}

// queues exports how full the queues of the listeners are.
func (e *exporter) queues(used, most *family, queues []admin.QueueUse) {
	for worker, q := range queues {
		e.gauge(used, float64(q.Used), strconv.Itoa(worker))
		e.gauge(most, float64(q.Most), strconv.Itoa(worker))
	}
}

// steering exports what the kernel has of us.
func (e *exporter) steering(s admin.SteeringStatus) {
	e.flag(attached, s.Attached)
	e.flag(isPinned, s.Pinned)
	e.flag(isExposed, s.OnDeath == admin.Exposed)
	e.gauge(foreignPrograms, float64(len(s.ForeignPrograms)))
	e.gauge(prefixes, float64(s.Prefixes))
	e.gauge(missing, float64(len(s.Missing)))
	e.counter(routesRestored, s.RoutesRestored)
}

// route exports everything about a route.
func (e *exporter) route(r *admin.RouteStatus) {
	e.flag(routeDrains, r.Draining, r.Name)
	if r.Hours != nil {
		e.flag(routeActive, r.Hours.Active, r.Name)
	}
	e.lookups(r.Name, r.Verdicts)
	for _, l := range r.LocalSockets {
		e.flag(localSocketUp, l.Up, r.Name, l.Protocol)
	}
	e.counts(r.Name, r.Counts)
	e.counter(heldBack, r.HeldBack, r.Name)
	for _, protocol := range r.Protocol {
		e.gauge(connsActive, float64(r.Active[protocol]), r.Name, protocol)
		for _, d := range []route.Direction{route.ToClient, route.ToOrigin} {
			e.counter(bytesTotal, r.Bytes[protocol][d.String()], r.Name, protocol, d.String())
		}
	}
	e.fast(r)
	for direction, n := range sorted(r.BandwidthWaiting) {
		e.gauge(waiting, float64(n), r.Name, direction)
	}
	if r.QueueWaiting != nil {
		e.gauge(queued, float64(*r.QueueWaiting), r.Name)
	}
	e.served(r)
	if r.Connects.Total > 0 { // 19 lines each: of 10,000 routes most are idle, or of UDP
		e.histogram(connectTime, r.Connects, r.Name)
	}
	for i := range r.Origins {
		e.origin(r.Name, &r.Origins[i])
	}
}

// fast exports what the kernel forwards of a route's UDP flows.
func (e *exporter) fast(r *admin.RouteStatus) {
	if !slices.Contains(r.Protocol, config.UDP.String()) {
		return
	}
	e.gauge(fastFlows, float64(r.Fast.Flows), r.Name)
	for _, d := range []route.Direction{route.ToClient, route.ToOrigin} {
		e.counter(fastSent, r.Fast.Datagrams[d.String()], r.Name, d.String())
	}
	for reason, n := range sorted(r.Fast.Refused) {
		e.counter(fastRefused, n, r.Name, reason)
	}
}

// served exports how the conns and flows of a route got to its origins, and how long they were there. What
// has not happened is left out: of 10,000 routes most are idle.
func (e *exporter) served(r *admin.RouteStatus) {
	if r.Waits.Total > 0 {
		e.histogram(queueWait, r.Waits, r.Name)
	}
	for protocol, s := range sorted(r.Sessions) {
		e.counter(sessions, s.Count, r.Name, protocol)
		e.seconds(sessionTime, s.Total.Seconds(), r.Name, protocol)
	}
	if r.Retries > 0 {
		e.counter(retries, r.Moves, r.Name, "other")
		e.counter(retries, r.Retries-min(r.Moves, r.Retries), r.Name, "same")
	}
	if len(r.Origins) > 0 {
		e.seconds(routeDown, r.DownSeconds, r.Name)
	}
}

// dialled exports how conns and flows came to an origin, and how long they were there. What has not happened
// is left out.
func (e *exporter) dialled(route string, o *admin.OriginStatus) {
	if o.Accepts > 0 {
		e.counter(originAccepts, o.Accepts, route, o.Address)
		e.seconds(originAcceptIn, o.AcceptTime, route, o.Address)
	}
	if o.Sessions > 0 {
		e.counter(originSessions, o.Sessions, route, o.Address)
		e.seconds(originSessionIn, o.SessionsTime, route, o.Address)
	}
	if o.Retries > 0 {
		e.counter(originRetries, o.Retries, route, o.Address)
	}
	if o.Moves > 0 {
		e.counter(originLeft, o.Moves, route, o.Address)
	}
}

// origin exports everything about an origin of a route.
func (e *exporter) origin(route string, o *admin.OriginStatus) {
	e.flag(originUp, o.Up, route, o.Address)
	e.counter(originRefusals, o.Refusals, route, o.Address)
	e.counter(originDials, o.FailedDials, route, o.Address)
	for class, n := range sorted(o.ConnectErrors) {
		e.counter(originErrors, n, route, o.Address, class)
	}
	e.gauge(originWeight, float64(o.Weight), route, o.Address)
	for cause, n := range sorted(o.Changes) {
		e.counter(originChanges, n, route, o.Address, cause)
	}
	e.counter(originTotal, o.ConnsTotal, route, o.Address)
	e.gauge(originActive, float64(o.ConnsActive), route, o.Address)
	e.dialled(route, o)
	e.seconds(originDown, o.DownSeconds, route, o.Address)
	if o.SlowStart != nil {
		e.gauge(originSlow, *o.SlowStart, route, o.Address)
	}
	if o.CheckedAt != nil || o.ChecksFailed > 0 { // before the first check here, too, if another process made some
		e.counter(originChecks, o.ChecksFailed, route, o.Address)
	}
	if o.CheckedAt != nil {
		e.gauge(checkSeconds, o.CheckSeconds, route, o.Address)
		e.flag(checkPassed, o.CheckFailed == "", route, o.Address)
	}
	for source, n := range sorted(o.SourcePorts) {
		e.gauge(sourcePorts, float64(n), route, o.Address, source)
	}
}

// lookups exports what the kernel decided for a route.
func (e *exporter) lookups(route string, verdicts map[string]uint64) {
	for verdict, n := range sorted(verdicts) {
		e.counter(lookups, n, route, verdict)
	}
}

// counts exports what the proxy counts by verdict.
func (e *exporter) counts(route string, c admin.Counts) {
	for protocol, verdicts := range sorted(c.Ended) {
		for verdict, n := range sorted(verdicts) {
			e.counter(connsTotal, n, route, protocol, verdict)
		}
	}
	for direction, verdicts := range sorted(c.Datagrams) {
		for verdict, n := range sorted(verdicts) {
			e.counter(datagrams, n, route, direction, verdict)
		}
	}
}

// sorted yields a map by its keys, so that two scrapes have the same order.
func sorted[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if !yield(key, m[key]) {
				return
			}
		}
	}
}
