package api

import (
	"iter"
	"maps"
	"runtime"
	"slices"
	"strconv"

	"anyport/cmd/anyport/internal/admin"
)

// The metrics of the process. docs/reference/metrics.md is made from these tables, in the order of their files:
// metrics_*.go has those of the other parts.
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

	scanPackets = metric("scan_packets_total", "SYNs and datagrams to ports that nobody serves: those that the kernel reported, and those that it skipped because there were too many.", "outcome")
	scanClients = metric("scan_clients", "Clients that have sent to ports that nobody serves in the last day, 1,024 at most.")
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
	e.trial(s.Trial)
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
	e.peers(s.Peers)
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

// queues exports how full the queues of the listeners are.
func (e *exporter) queues(used, most *family, queues []admin.QueueUse) {
	for worker, q := range queues {
		e.gauge(used, float64(q.Used), strconv.Itoa(worker))
		e.gauge(most, float64(q.Most), strconv.Itoa(worker))
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
