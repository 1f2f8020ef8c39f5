package proxy

import (
	"net/netip"
	"time"

	"anyport/config"
	"anyport/proxy/health"
	"anyport/proxy/origin"
	"anyport/proxy/resolve"
	"anyport/proxy/route"
)

// OriginStatus is one origin of a route.
type OriginStatus struct {
	Address string
	Name    string // the DNS name that the address is of
	Gone    bool   // the name no longer has it: it only ends the conns that it has
	Up      bool
	Forced  string // the state forced by hand: "drain" or "down"; "" = none
	Weight  int    // for new conns; an operator's until the next reload

	State   string            // "up", or why it is not: "check_failed", "ejected", "forced_down", …
	Why     string            // the reason of the last change
	Since   *time.Time        // of the last change; none: nothing has changed
	Changes map[string]uint64 // state → how often the origin came to it

	Health string // "unchecked", "up" or "down": unchecked while no check has said anything

	LastError     string            // a word: "refused", "timeout", "unreachable", …; "": there was none
	LastErrno     string            // "ECONNREFUSED", …; "": it has none
	LastErrorAt   *time.Time        // none: there was none
	FailingSince  *time.Time        // while nothing has succeeded since: the first error of these
	ConnectErrors map[string]uint64 // error → conns and flows that the origin did not take

	CheckedAt    *time.Time // the last active check; none: there was none
	CheckSeconds float64
	CheckFailed  string // why; "": it passed
	ChecksFailed uint64 // in all

	EjectedSince *time.Time // over TCP: while the origin is left out for that, it is not up
	FailedDials  uint64

	RefusedSince *time.Time // over UDP: while the origin is left out for that, it is not up
	RefusedPorts int        // of an origin with many ports: those left out
	Refusals     uint64     // ICMP errors that UDP flows have met

	ConnsActive int64
	ConnsTotal  uint64
	ConnsPeak   int64 // the most at once since the process began
	MaxConns    int   // of the file; 0: no limit
	Backup      bool

	NewPeak float64    // the most that it was given in a second since the process began
	LastNew *time.Time // when it was given one last, to a second; none: none since the process began

	ConnectSeconds *float64 // as in RouteStatus, here and below
	SessionSeconds *float64
	Retries        uint64   // dials that were not the first of their conn or flow
	Moves          uint64   // conns and flows that went on to another server after a dial of this one had failed
	DownSeconds    float64  // how long it was down, by its checks or by hand, or ejected
	TimesDown      uint64   // how often that began
	SlowStart      *float64 // the part of its weight that it gets while it comes back; none: all of it

	Accepts      uint64  // conns that it has accepted
	AcceptTime   float64 // seconds from the dials until then, all together
	Sessions     uint64  // conns and flows of it that have ended
	SessionsTime float64 // seconds that these have lasted, all together

	BytesToOrigin uint64 // payload
	BytesToClient uint64

	SourcePorts map[string]int64 // source address, or "auto" where the kernel chooses it → local ports that live TCP conns use
}

// originStatus is one origin of a route. It is up if new conns and new flows of the route may go there.
func originStatus(o *origin.Origin, r *config.Route, now time.Time) OriginStatus {
	state := o.State()
	status := OriginStatus{
		Address:      o.Text,
		Name:         nameOf(o.Origin),
		Gone:         o.Vanished(),
		Weight:       o.CurrentWeight(),
		Why:          state.Why,
		RefusedPorts: o.RefusedPorts(config.UDP, now),
		Refusals:     o.Refusals(config.UDP),
		FailedDials:  o.Refusals(config.TCP),
		Changes:      map[string]uint64{},
		Health:       healthText(o, r, now),
		ConnsActive:  o.Active(),
		ConnsTotal:   o.Total(),
		ConnsPeak:    o.Peak(),
		MaxConns:     o.MaxConns,
		Backup:       o.Backup,

		BytesToOrigin: o.Carried(int(route.ToOrigin)),
		BytesToClient: o.Carried(int(route.ToClient)),
	}
	if state.Forced != health.ByHealth {
		status.Forced = state.Forced.String()
	}
	verdict := o.Verdict(config.TCP, now)
	if verdict == health.Up {
		verdict = o.Verdict(config.UDP, now)
	}
	status.State, status.Up = verdict.String(), !o.Vanished() && (verdict == health.Up || verdict == health.NoWeight)
	if !state.Since.IsZero() {
		status.Since = &state.Since
	}
	if since, ok := o.RefusedSince(config.UDP, now); ok {
		status.RefusedSince = &since
	}
	if since, ok := o.RefusedSince(config.TCP, now); ok {
		status.EjectedSince = &since
	}
	noteErrors(&status, o)
	noteOriginTrends(&status, o, r, now)
	if last := o.LastResult(); last != nil && r.Health != nil {
		status.CheckedAt, status.CheckSeconds, status.CheckFailed = &last.At, last.Took.Seconds(), last.Failed
	}
	for v := range health.Verdicts {
		if n := o.Changes(v); n > 0 {
			status.Changes[v.String()] = n
		}
	}
	for source, n := range o.SourcePorts() {
		if status.SourcePorts == nil {
			status.SourcePorts = map[string]int64{}
		}
		status.SourcePorts[sourceText(source)] = n
	}
	return status
}

// sourceText names a source address.
func sourceText(source netip.Addr) string {
	if !source.IsValid() {
		return "auto"
	}
	return source.String()
}

// nameOf is the DNS name of an origin, "" if it has none.
func nameOf(o config.Origin) string {
	if o.Host == "" {
		return ""
	}
	return resolve.Name{Host: o.Host, SRV: o.SRV}.String()
}

// unresolved are the DNS names of r that have no address at all.
func unresolved(r *route.Route) (all []OriginStatus) {
	found := map[string]bool{}
	for _, o := range r.Origins().Origins {
		found[nameOf(o.Origin)] = true
	}
	for _, o := range r.Route.Origins {
		if name := nameOf(o); name != "" && !found[name] {
			all = append(all, OriginStatus{Address: o.Text, Name: name, Health: "down", LastError: origin.ErrorDNS.String(), ConnectErrors: map[string]uint64{}})
		}
	}
	return all
}
