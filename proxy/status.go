package proxy

import (
	"net/netip"
	"time"

	"anyport/config"
	"anyport/proxy/health"
	"anyport/proxy/origin"
	"anyport/proxy/resolve"
	"anyport/proxy/route"
	"anyport/proxy/trend"
)

// RouteStatus is one route in service, as `anyport status --json` shows it.
type RouteStatus struct {
	Name     string
	Protocol []string
	Prefixes []string
	Ports    []string
	Action   string

	ConnsActive int64  // conns and flows, here and below
	ConnsTotal  uint64 // with those that were refused
	Denied      uint64 // by allow and deny
	Limited     uint64 // over a limit: of these, ended has those that the proxy has refused, by verdict

	ConnsPeak         int64 // the most at once since the process began
	MaxConns          int   // limits of the file; 0: none, here and below
	MaxFlows          int
	NewConnsPerSecond int
	Queue             int
	Balance           string

	NewPeak   float64    // the most that came in a second since the process began
	LastNew   *time.Time // when one has come last, to a second; none: none has since the process began
	QueuePeak int        // the most conns that waited for an origin at once since the process began

	WaitSeconds    *float64 // on average of the newest thousand or so: in the queue, of conns that waited; none: there was none, here and below
	ConnectSeconds *float64 // until an origin has accepted
	SessionSeconds *float64 // from the begin to the end, of what has reached an origin

	Retries uint64 // dials that were not the first of their conn or flow
	Moves   uint64 // of these, to another server than the one before

	DownSeconds float64    // how long no origin was up
	TimesDown   uint64     // how often that began
	DownChanged *time.Time // when it last began or ended; none: neither since the process began

	BytesToOrigin uint64 // payload
	BytesToClient uint64
	HeldBack      uint64 // answers to clients that had not shown that they are there, over amplification_budget

	Fast FastStatus

	Active map[string]int64             // protocol → live conns or flows
	Bytes  map[string]map[string]uint64 // protocol → direction → payload
	Counts

	Connects route.Buckets        // how long the origins took to accept a conn
	Waits    route.Buckets        // how long conns were in the queue that then got an origin
	Sessions map[string]trend.Sum // protocol → what has reached an origin and has ended

	BandwidthWaiting map[string]int64 // direction → conns that wait for route_bandwidth, if the route has it

	QueueWaiting *int // conns that wait for an origin at its max_conns; nil: the route has no queue

	UnreachableSince *time.Time // while all origins of the route fail

	Origins []OriginStatus
}

// FastStatus is what the kernel forwards of a route's flows by itself.
type FastStatus struct {
	Flows     int64             // now
	Datagrams map[string]uint64 // direction → datagrams, which Counts has, too
	Refused   map[string]uint64 // reason → how often the kernel was not asked to forward a flow, or refused
}

// Counts are by verdict. A missing verdict is zero.
type Counts struct {
	Ended     map[string]map[string]uint64 // protocol → verdict → conns or flows
	Datagrams map[string]map[string]uint64 // direction → verdict → datagrams
}

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

// Status returns each route in service, in the order of the file.
func (s *Server) Status() []RouteStatus {
	s.routes.CountForwarded()
	routes := []RouteStatus{}
	set, at := s.routes.Set(), map[string]int{}
	for i, r := range set.Routes {
		routes = append(routes, routeStatus(r))
		at[r.Name] = i
	}
	for _, twin := range set.Twins() {
		for _, o := range onlyOf(twin, set.Named(twin.Name)) {
			of := &routes[at[twin.Name]]
			of.Origins = append(of.Origins, originStatus(o, twin.Route, time.Now()))
		}
	}
	return routes
}

// Active is the number of live conns and flows of the routes in service.
func (s *Server) Active() (n int64) {
	for _, r := range s.routes.Set().Routes {
		n += r.Stats.Active(config.TCP) + r.Stats.Active(config.UDP)
	}
	return n
}

// Unrouted counts what came for a dst that no route forwards, or was dropped before its route was
// known.
func (s *Server) Unrouted() Counts { return counts(s.routes.Unrouted.Totals()) }

func counts(totals route.Totals) Counts {
	return Counts{Ended: byName(totals.Ended), Datagrams: byName(totals.Datagrams)}
}

func routeStatus(r *route.Route) RouteStatus {
	totals := r.Stats.Totals()
	status := RouteStatus{
		Name:     r.Name,
		Protocol: texts(r.Protocols),
		Prefixes: texts(r.Prefixes),
		Ports:    texts(r.Ports),
		Action:   r.Action.String(),

		ConnsTotal: totals.Arrived,

		ConnsPeak:         r.Stats.Peak(),
		MaxConns:          r.MaxConns,
		MaxFlows:          r.MaxFlows,
		NewConnsPerSecond: r.NewConnsPerSecond,
		Queue:             r.Queue,
		Balance:           string(r.Balance),

		Active:   map[string]int64{},
		Bytes:    byName(totals.Bytes),
		Counts:   counts(totals),
		Connects: totals.Connects,
		Waits:    totals.Waits,
		Sessions: map[string]trend.Sum{},
		HeldBack: totals.HeldBack,
		Fast:     FastStatus{Flows: r.Stats.Fast(), Datagrams: named(totals.Fast), Refused: named(totals.FastRefused)},

		Origins: []OriginStatus{},
	}
	noteRouteTrends(&status, r.Stats, totals)
	for _, p := range []config.Protocol{config.TCP, config.UDP} {
		n := r.Stats.Active(p)
		status.Active[p.String()] = n
		status.ConnsActive += n
	}
	for _, ended := range totals.Ended {
		status.Denied += ended[route.Denied]
		status.Limited += ended[route.OverMaxConns] + ended[route.OverMaxPerClient] + ended[route.OverClientRate] + ended[route.OverOriginConns] + ended[route.QueueFull] + ended[route.QueueTimedOut] + ended[route.OverMaxFlows] + ended[route.OverClientFlows]
	}
	for _, bytes := range totals.Bytes {
		status.BytesToOrigin += bytes[route.ToOrigin]
		status.BytesToClient += bytes[route.ToClient]
	}
	for _, d := range []route.Direction{route.ToOrigin, route.ToClient} {
		if shared := r.Shared(d); shared != nil {
			if status.BandwidthWaiting == nil {
				status.BandwidthWaiting = map[string]int64{}
			}
			status.BandwidthWaiting[d.String()] = shared.Waiting()
		}
	}
	if n := r.Origins().Waiting(); r.Queue > 0 || n > 0 { // they wait on after a reload that removes the queue
		status.QueueWaiting = &n
	}
	status.QueuePeak = r.Origins().WaitingPeak()
	status.UnreachableSince = unreachableSince(r)
	for _, o := range r.Origins().Origins {
		if !o.Vanished() || o.Active() > 0 {
			status.Origins = append(status.Origins, originStatus(o, r.Route, time.Now()))
		}
	}
	status.Origins = append(status.Origins, unresolved(r)...)
	return status
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

type stringer interface{ String() string }

func texts[T stringer](values []T) []string {
	list := []string{}
	for _, v := range values {
		list = append(list, v.String())
	}
	return list
}

type word interface {
	comparable
	stringer
}

// byName turns the words of a count into the keys of a JSON object.
func byName[K, V word](counts map[K]map[V]uint64) map[string]map[string]uint64 {
	byWord := make(map[string]map[string]uint64, len(counts))
	for k, inner := range counts {
		byWord[k.String()] = named(inner)
	}
	return byWord
}

func named[K word](counts map[K]uint64) map[string]uint64 {
	byWord := make(map[string]uint64, len(counts))
	for k, n := range counts {
		byWord[k.String()] = n
	}
	return byWord
}
