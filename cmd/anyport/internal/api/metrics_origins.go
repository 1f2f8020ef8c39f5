package api

import "anyport/cmd/anyport/internal/admin"

// The metrics of an origin, and of the DNS names of origins.
var (
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

	nameResolved  = metric("dns_name_resolved", "1 if the last attempt to resolve the name of an origin succeeded; 0: its last addresses stay in use.", "name")
	nameAddresses = metric("dns_name_addresses", "Addresses of the name that are in use.", "name")
)

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
