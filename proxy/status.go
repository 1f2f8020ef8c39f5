package proxy

import (
	"time"

	"anyport/config"
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

// Sum is how many conns and flows the routes in service have, how many came, and how they ended, all of them together.
// It has nothing else. With very many routes it takes a small part of the time of Status.
func (s *Server) Sum() RouteStatus {
	sum, outcomes := RouteStatus{Active: map[string]int64{}}, route.Outcomes{}
	for _, r := range s.routes.Set().Routes {
		r.Stats.AddOutcomes(&outcomes)
		noteActive(&sum, r.Stats)
	}
	totals := outcomes.Totals()
	noteSums(&sum, totals)
	sum.ConnsTotal, sum.Counts = totals.Arrived, counts(totals)
	return sum
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
	noteActive(&status, r.Stats)
	noteSums(&status, totals)
	noteWaiting(&status, r)
	status.UnreachableSince = unreachableSince(r)
	for _, o := range r.Origins().Origins {
		if !o.Vanished() || o.Active() > 0 {
			status.Origins = append(status.Origins, originStatus(o, r.Route, time.Now()))
		}
	}
	status.Origins = append(status.Origins, unresolved(r)...)
	return status
}

// noteActive adds the live conns and flows of a route.
func noteActive(status *RouteStatus, stats *route.Stats) {
	for _, p := range []config.Protocol{config.TCP, config.UDP} {
		n := stats.Active(p)
		status.Active[p.String()] += n
		status.ConnsActive += n
	}
}

// noteSums notes what the totals come to over both protocols.
func noteSums(status *RouteStatus, totals route.Totals) {
	for _, ended := range totals.Ended {
		status.Denied += ended[route.Denied]
		status.Limited += ended[route.OverMaxConns] + ended[route.OverMaxPerClient] + ended[route.OverClientRate] + ended[route.OverOriginConns] + ended[route.QueueFull] + ended[route.QueueTimedOut] + ended[route.OverMaxFlows] + ended[route.OverClientFlows]
	}
	for _, bytes := range totals.Bytes {
		status.BytesToOrigin += bytes[route.ToOrigin]
		status.BytesToClient += bytes[route.ToClient]
	}
}

// noteWaiting notes what waits for bandwidth and for an origin.
func noteWaiting(status *RouteStatus, r *route.Route) {
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
}
