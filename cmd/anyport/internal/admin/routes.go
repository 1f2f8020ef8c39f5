package admin

import "time"

// FastStatus is what the kernel forwards of a route's UDP flows by itself.
type FastStatus struct {
	Flows     int64             `json:"flows"`     // now
	Datagrams map[string]uint64 `json:"datagrams"` // direction → datagrams so far
	Refused   map[string]uint64 `json:"refused"`   // reason → how often a flow was left to user space
}

// RouteStatus joins what the proxy and the kernel count of one route in service.
type RouteStatus struct {
	Name     string   `json:"name"`
	Protocol []string `json:"protocol"`
	Prefixes []string `json:"prefixes"`
	Ports    []string `json:"ports"`
	Action   string   `json:"action"`

	ConnsActive int64  `json:"conns_active"` // conns and flows, here and below
	ConnsTotal  uint64 `json:"conns_total"`  // with those that were never begun
	Errors      uint64 `json:"errors"`       // of these, found no origin, or were lost: see Errors
	Denied      uint64 `json:"denied"`       // by allow and deny
	Limited     uint64 `json:"limited"`      // over max_conns and its kin, new_conns_per_second and datagrams_per_second

	ConnsPeak         int64 `json:"conns_peak"` // the most at once since the process began
	MaxConns          int   `json:"max_conns"`  // limits of the file; 0: none, here and below
	MaxFlows          int   `json:"max_flows"`
	NewConnsPerSecond int   `json:"new_conns_per_second"`
	Queue             int   `json:"queue"`

	Balance string `json:"balance"`

	NewPeak   float64    `json:"new_per_second_peak"`   // the most that came in a second since the process began
	LastNew   *time.Time `json:"last_new_at,omitempty"` // when one has come last, to a second; none: none has since the process began
	QueuePeak int        `json:"queue_peak"`            // the most conns that waited for an origin at once since the process began

	WaitSeconds    *float64 `json:"average_queue_seconds,omitempty"`   // of the newest thousand or so in this process: in the queue, of conns that waited; none: there was none, here and below
	ConnectSeconds *float64 `json:"average_connect_seconds,omitempty"` // until an origin has accepted
	SessionSeconds *float64 `json:"average_session_seconds,omitempty"` // from the begin to the end, of what has reached an origin

	Retries uint64 `json:"retries"`           // dials that were not the first of their conn or flow
	Moves   uint64 `json:"retries_elsewhere"` // of these, to another server than the one before

	DownSeconds float64    `json:"down_seconds"`              // how long no origin was up
	TimesDown   uint64     `json:"times_down"`                // how often that began
	DownChanged *time.Time `json:"down_changed_at,omitempty"` // when it last began or ended; none: neither since the process began

	BytesToOrigin uint64 `json:"bytes_to_origin"` // payload
	BytesToClient uint64 `json:"bytes_to_client"`
	HeldBack      uint64 `json:"bytes_held_back"` // answers to clients that had not shown that they are there, over amplification_budget

	Fast FastStatus `json:"fast_path"`

	Active map[string]int64             `json:"active"` // protocol → live conns or flows
	Bytes  map[string]map[string]uint64 `json:"bytes"`  // protocol → direction → payload
	Counts

	Connects Times          `json:"-"` // only for /metrics: until an origin has accepted
	Waits    Times          `json:"-"` // likewise: in the queue
	Sessions map[string]Sum `json:"-"` // likewise: protocol → what has reached an origin and has ended

	BandwidthWaiting map[string]int64 `json:"bandwidth_waiting,omitempty"` // direction → conns that wait for route_bandwidth, if the route has it

	QueueWaiting *int `json:"queue_waiting,omitempty"` // conns that wait for an origin at its max_conns, if the route has a queue

	UnreachableSince *time.Time `json:"unreachable_since,omitempty"` // while all origins of the route fail

	Origins []OriginStatus `json:"origins"`

	LocalSockets []LocalSocket `json:"local_sockets,omitempty"` // of the service, with action = "socket": one for each protocol

	Lookups  uint64 `json:"lookups"`  // SYNs and datagrams that the kernel decided by this route
	Refused  uint64 `json:"refused"`  // of these, answered with RST or ICMP port unreachable
	Dropped  uint64 `json:"dropped"`  // of these, left in silence
	Inactive uint64 `json:"inactive"` // of these, came while the route was not in force: see active
	Draining bool   `json:"draining"`

	Hours *HoursStatus `json:"hours,omitempty"` // if the route has active

	Verdicts map[string]uint64 `json:"verdicts"` // the lookups by what the kernel decided
}

// HoursStatus says whether a route is in force, and when that changes.
type HoursStatus struct {
	Active     bool       `json:"active"`
	NextChange *time.Time `json:"next_change,omitempty"` // none: it stays so
}

// LocalSocket is the socket of a service of this host that the kernel gives packets to.
type LocalSocket struct {
	Service  string     `json:"service"` // as the file has it
	Protocol string     `json:"protocol"`
	Up       bool       `json:"up"`
	Listener string     `json:"listener"`          // what it is bound to; "": there is none now
	PID      int        `json:"pid,omitempty"`     // a process that has it open
	Process  string     `json:"process,omitempty"` // its name
	Cgroup   string     `json:"cgroup,omitempty"`  // the directory
	Since    *time.Time `json:"since,omitempty"`   // of the last change
	Problem  string     `json:"problem,omitempty"` // why a service that runs is not reached
	InKernel bool       `json:"in_kernel"`         // a new listener is noticed at listen(2), also while no anyport runs
}

// Counts are by verdict; a verdict that is missing counts zero.
type Counts struct {
	Ended     map[string]map[string]uint64 `json:"ended"`     // protocol → verdict → conns or flows
	Datagrams map[string]map[string]uint64 `json:"datagrams"` // direction → verdict → datagrams
}

// Sum is how many durations were counted, and what they add up to.
type Sum struct {
	Count uint64
	Total time.Duration
}

// Times is a histogram of durations.
type Times struct {
	Total  uint64
	Sum    time.Duration
	AtMost map[float64]uint64 // a bound in seconds → those that are no longer: cumulative, as Prometheus counts
}
