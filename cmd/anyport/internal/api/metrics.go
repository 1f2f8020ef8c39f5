package api

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"

	"anyport/cmd/anyport/internal/admin"
	"anyport/proxy/route"
)

// The metrics. The route is "" of what no route takes; a conn or flow is counted by its
// verdict once it has ended, or was never begun.
var (
	buildInfo    = metric("build_info", "What runs: always 1.", "version", "go_version")
	configNumber = metric("config_generation", "The config in service: 1, and one more with each reload.")
	reloadDone   = metric("config_last_reload_successful", "1 where the last reload was done, or none was asked for.")
	guarded      = metric("config_guarded", "1 while the last config that lasted serves, in place of the file, because anyport has died with that.")
	guardDeaths  = metric("config_deaths", "Deaths of anyport with the file, each within a minute of a start or reload, in the hour before the start.")
	logLost      = metric("log_lines_lost_total", "Lines that are not in the log: process (stderr) or access.", "log")

	filesLimit = metric("files_limit", "File descriptors that this process may open.")
	filesUsed  = metric("files_used", "File descriptors in use, by what for.", "use")

	attached        = metric("steering_attached", "1 while our program is attached.")
	foreignPrograms = metric("steering_foreign_programs", "Others' sk_lookup programs in this network namespace.")
	prefixes        = metric("steering_prefixes", "Distinct prefixes served.")
	missing         = metric("steering_missing", "What the steering stands on and the kernel has no more, such as local routes: see anyport status.")
	routesRestored  = metric("steering_routes_restored_total", "Local routes that others removed and that were put back.")
	lookups         = metric("steering_lookups_total", "SYNs and datagrams that the kernel decided on.", "route", "verdict")

	connsTotal  = metric("connections_total", "Conns (tcp) and flows (udp) that ended or were never begun.", "route", "protocol", "verdict")
	connsActive = metric("connections_active", "Live conns (tcp) and flows (udp).", "route", "protocol")
	bytesTotal  = metric("bytes_total", "Payload relayed.", "route", "protocol", "direction")
	datagrams   = metric("datagrams_total", "Datagrams by what became of them.", "route", "direction", "verdict")
	heldBack    = metric("held_back_bytes_total", "Answers to clients that had not shown that they are there, over amplification_budget.", "route")
	waiting     = metric("bandwidth_waiting", "Conns that wait for route_bandwidth.", "route", "direction")
	queued      = metric("queue_waiting", "Conns that wait for an origin at its max_conns.", "route")
	routeDrains = metric("route_draining", "1 while the route takes nothing new.", "route")

	originUp       = metric("origin_up", "1 while the origin is taken to work.", "route", "origin")
	originRefusals = metric("origin_refusals_total", "ICMP errors of the origin, or of the way to it, that UDP flows have met.", "route", "origin")
	originDials    = metric("origin_dial_failures_total", "Dials of the origin for conns that failed.", "route", "origin")
	originChanges  = metric("origin_state_changes_total", "How often the origin came to be up, or left out for this cause.", "route", "origin", "cause")
	originWeight   = metric("origin_weight", "The weight of the origin for new conns and flows.", "route", "origin")
	originTotal    = metric("origin_connections_total", "Conns and flows given to the origin.", "route", "origin")
	originActive   = metric("origin_connections_active", "Live conns and flows of the origin.", "route", "origin")
	sourcePorts    = metric("source_ports_used", "Local ports that live TCP conns to the origin use, by source address. Each port of an origin can have those of net.ipv4.ip_local_port_range once.", "route", "origin", "source")
	connectTime    = metric("origin_connect_seconds", "How long origins took to accept a conn.", "route")
)

// metric describes one metric. A label that has no value in a route is not exported.
func metric(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("anyport_"+name, help, labels, nil)
}

// collector exports the status, in the names of Prometheus.
type collector struct{ status func() admin.Status }

// Describe says nothing: which metrics there are depends on the routes.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect exports one status.
func (c collector) Collect(out chan<- prometheus.Metric) {
	s, e := c.status(), exporter{out}
	e.gauge(buildInfo, 1, s.Version, runtime.Version())
	e.gauge(configNumber, float64(s.Config.Generation))
	e.flag(reloadDone, s.Config.Refused == "")
	e.flag(guarded, s.Guard.Guarded)
	e.gauge(guardDeaths, float64(s.Guard.Deaths))
	e.counter(logLost, s.Log.Lost, "process")
	e.counter(logLost, s.Log.AccessLost, "access")
	e.gauge(filesLimit, float64(s.Files))
	for use, n := range map[string]int{"process": s.FileShares.Process, "tcp": s.FileShares.TCP.Held, "flows": s.FileShares.Flows.Held, "replies": s.FileShares.Replies.Held} {
		e.gauge(filesUsed, float64(n), use)
	}
	e.flag(attached, s.Steering.Attached)
	e.gauge(foreignPrograms, float64(len(s.Steering.ForeignPrograms)))
	e.gauge(prefixes, float64(s.Steering.Prefixes))
	e.gauge(missing, float64(len(s.Steering.Missing)))
	e.counter(routesRestored, s.Steering.RoutesRestored)
	e.lookups("", s.Steering.Unmatched)
	e.counts("", s.Unrouted)
	for _, r := range s.Routes {
		e.route(r)
	}
}

// exporter sends the metrics of one scrape.
type exporter struct{ out chan<- prometheus.Metric }

// gauge sends a value that may fall again.
func (e exporter) gauge(d *prometheus.Desc, value float64, labels ...string) {
	e.out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

// flag is a gauge of 1 or 0, as Prometheus has no booleans.
func (e exporter) flag(d *prometheus.Desc, on bool, labels ...string) {
	value := 0.0
	if on {
		value = 1
	}
	e.gauge(d, value, labels...)
}

// counter sends a value that only grows, until the process restarts.
func (e exporter) counter(d *prometheus.Desc, n uint64, labels ...string) {
	e.out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

// route exports everything about a route.
func (e exporter) route(r admin.RouteStatus) {
	e.flag(routeDrains, r.Draining, r.Name)
	e.lookups(r.Name, r.Verdicts)
	e.counts(r.Name, r.Counts)
	e.counter(heldBack, r.HeldBack, r.Name)
	for _, protocol := range r.Protocol {
		e.gauge(connsActive, float64(r.Active[protocol]), r.Name, protocol)
		for _, d := range []route.Direction{route.ToOrigin, route.ToClient} {
			e.counter(bytesTotal, r.Bytes[protocol][d.String()], r.Name, protocol, d.String())
		}
	}
	for direction, n := range r.BandwidthWaiting {
		e.gauge(waiting, float64(n), r.Name, direction)
	}
	if r.QueueWaiting != nil {
		e.gauge(queued, float64(*r.QueueWaiting), r.Name)
	}
	for _, o := range r.Origins {
		e.flag(originUp, o.Up, r.Name, o.Address)
		e.counter(originRefusals, o.Refusals, r.Name, o.Address)
		e.counter(originDials, o.FailedDials, r.Name, o.Address)
		e.gauge(originWeight, float64(o.Weight), r.Name, o.Address)
		for cause, n := range o.Changes {
			e.counter(originChanges, n, r.Name, o.Address, cause)
		}
		e.counter(originTotal, o.ConnsTotal, r.Name, o.Address)
		e.gauge(originActive, float64(o.ConnsActive), r.Name, o.Address)
		for source, n := range o.SourcePorts {
			e.gauge(sourcePorts, float64(n), r.Name, o.Address, source)
		}
	}
	e.histogram(connectTime, r.Connects, r.Name)
}

// lookups exports what the kernel decided for a route.
func (e exporter) lookups(route string, verdicts map[string]uint64) {
	for verdict, n := range verdicts {
		e.counter(lookups, n, route, verdict)
	}
}

// counts exports what the proxy counts by verdict.
func (e exporter) counts(route string, c admin.Counts) {
	for protocol, verdicts := range c.Ended {
		for verdict, n := range verdicts {
			e.counter(connsTotal, n, route, protocol, verdict)
		}
	}
	for direction, verdicts := range c.Datagrams {
		for verdict, n := range verdicts {
			e.counter(datagrams, n, route, direction, verdict)
		}
	}
}

// histogram sends the cumulative buckets that [admin.ConnectTimes] has already summed up.
func (e exporter) histogram(d *prometheus.Desc, t admin.ConnectTimes, labels ...string) {
	e.out <- prometheus.MustNewConstHistogram(d, t.Total, t.Sum.Seconds(), t.AtMost, labels...)
}
