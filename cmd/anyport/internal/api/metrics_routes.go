package api

import (
	"slices"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
	"anyport/proxy/route"
)

// The metrics of a route. It is "" for what no route takes. A conn or flow is counted by its verdict once it has
// ended, or was never begun.
var (
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
)

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
