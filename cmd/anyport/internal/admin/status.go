package admin

import "time"

// Status is what `anyport status --json` prints.
type Status struct {
	Version       string         `json:"version"`
	PID           int            `json:"pid"`
	UptimeSeconds int64          `json:"uptime_seconds"`
	Stopping      bool           `json:"stopping"`
	Privileges    Privileges     `json:"privileges"`
	Files         uint64         `json:"files"`                       // file descriptors it may open
	FilesUsed     int            `json:"files_used"`                  // of them, without what the reserve is used for just now
	FileShares    FileShares     `json:"file_shares"`                 // who holds them
	MaxFlows      int            `json:"max_flows"`                   // UDP flows of all routes at once
	MaxSockets    int            `json:"max_flow_sockets"`            // of these, flows with a socket of their own
	ClientFlows   int            `json:"max_flows_per_client"`        // of one client, if its route does not say: flows without a socket of their own
	ClientSockets int            `json:"max_flow_sockets_per_client"` // and with one
	Loops         int            `json:"event_loops"`
	LoopsStuck    int            `json:"event_loops_stuck"` // that did not respond when they were asked last
	LoopLoads     []LoopLoad     `json:"event_loop_loads"`
	NewPeak       float64        `json:"new_per_second_peak"` // the most conns and flows that came in a second, of all routes together, since the process began
	LocalPorts    int            `json:"local_ports"`         // that one address can dial one port of an origin from, over TCP
	Listeners     ListenerStatus `json:"listeners"`
	Log           LogStatus      `json:"log"`
	Config        ConfigStatus   `json:"config"`
	Steering      SteeringStatus `json:"steering"`
	Routes        []RouteStatus  `json:"routes"`
	Unrouted      Counts         `json:"unrouted"` // traffic to a dst that no route forwards, or that none forwards any more

	Guard GuardStatus `json:"crash_loop_guard"`
	Left  []Left      `json:"left,omitempty"`

	Peers *PeersStatus `json:"peers,omitempty"` // if the file has peers in [fleet]
	Trial *TrialStatus `json:"trial,omitempty"` // while a table serves only a share of the clients

	Announce *AnnounceStatus `json:"announce,omitempty"` // with announce.table

	Resolver *ResolverStatus `json:"resolver,omitempty"` // if an origin is a DNS name
	Confirm  *ConfirmStatus  `json:"confirm,omitempty"`  // of a run with --confirm, until it is confirmed
	Fleet    *FleetStatus    `json:"fleet,omitempty"`    // if [fleet] has a source
	Shadow   *ShadowStatus   `json:"shadow,omitempty"`   // of a run with --shadow, which serves nothing

	Scans ScanStatus `json:"scans"`

	Doors  []Door            `json:"doors,omitempty"`  // that clients have opened by a knock
	Knocks map[string]uint64 `json:"knocks,omitempty"` // authenticated ones, by verdict
}

// LoopLoad is how much of its time an event loop works.
type LoopLoad struct {
	Name        string  `json:"name"`         // "tcp/0"
	Idle        float64 `json:"idle"`         // the share of the last second or so in which it waited
	BusySeconds float64 `json:"busy_seconds"` // that it has worked in all
}

// Door is open to one client of one route.
type Door struct {
	Route  string    `json:"route"`
	Client string    `json:"client"`
	Until  time.Time `json:"until"`
}

// GuardStatus says whether anyport has died with the config file, and what it serves in its place. Configs are
// named by the SHA-256 of their bytes.
type GuardStatus struct {
	Off     string `json:"off,omitempty"` // why there is no guard; the rest is empty then
	Guarded bool   `json:"guarded"`       // the last config that lasted serves, in place of the file
	Problem string `json:"problem,omitempty"`

	Deaths       int `json:"deaths"`        // of processes with the file, each within a minute, in the hour before the start
	LastedDeaths int `json:"lasted_deaths"` // the same with the last config that lasted

	File        string     `json:"file"` // as it was at the start
	Serving     string     `json:"serving"`
	Lasted      string     `json:"lasted"` // the newest config that has served for a minute; "": none yet
	LastedSince *time.Time `json:"lasted_since,omitempty"`
	LastedWith  string     `json:"lasted_with"` // the version of anyport
}

// ResolverStatus says how DNS names are resolved.
type ResolverStatus struct {
	Servers []string     `json:"servers"` // of /etc/resolv.conf, in the order in which they are asked
	Search  []string     `json:"search"`
	Error   string       `json:"error,omitempty"` // why /etc/hosts or /etc/resolv.conf could not be read again
	Names   []NameStatus `json:"names"`
}

// NameStatus is what is known of one DNS name.
type NameStatus struct {
	Name       string   `json:"name"`
	Addresses  []string `json:"addresses"`
	TTLSeconds float64  `json:"ttl_seconds"`     // until it is resolved again
	Server     string   `json:"server"`          // that answered last, or /etc/hosts
	Error      string   `json:"error,omitempty"` // why the last try failed: the addresses are the last good ones
}

// Privileges are what the process holds.
type Privileges struct {
	User         string   `json:"user"`         // a name, or a number that has none
	Capabilities []string `json:"capabilities"` // effective ones
	NoNewPrivs   bool     `json:"no_new_privs"`
}

// FileShares divide the file descriptors in use by what they are used for.
type FileShares struct {
	Process int     `json:"process"` // held by the process itself
	Reserve int     `json:"reserve"` // kept for what the process opens later
	TCP     FileUse `json:"tcp"`
	Flows   FileUse `json:"flows"`
	Replies FileUse `json:"replies"`
}

// FileUse is one share.
type FileUse struct {
	Held int `json:"held"`
	Own  int `json:"own"`  // what it can always have
	Most int `json:"most"` // with everything that is common
}

// ListenerStatus is what the kernel reports of the sockets that packets are steered into.
type ListenerStatus struct {
	Accept          []QueueUse `json:"accept_queues"`    // conns that wait to be accepted, by worker
	AcceptOverflows uint64     `json:"accept_overflows"` // SYNs and last ACKs of handshakes that found no room there
	Receive         []QueueUse `json:"receive_buffers"`  // bytes of datagrams that wait to be read, by worker
}

// QueueUse is how full a queue is.
type QueueUse struct {
	Used int `json:"used"`
	Most int `json:"most"`
}

// LogStatus counts lines lost while a disk was full, or while nobody read a pipe.
type LogStatus struct {
	Lost       uint64 `json:"lost_lines"` // of stderr, with log.access = "stderr" also of that
	AccessLost uint64 `json:"access_lost_lines"`
}

// ConfigStatus describes the file in service.
type ConfigStatus struct {
	Path       string    `json:"path"`
	Generation int       `json:"generation"` // 1, and one more with each reload
	LoadedAt   time.Time `json:"loaded_at"`
	Refused    string    `json:"last_reload_error"` // "" if the last reload succeeded, or there was none

	Reloads []PastReload `json:"reloads"` // the last ones of this process, the newest first
}

// PastReload is a reload that has ended.
type PastReload struct {
	At         time.Time `json:"at"`
	Generation int       `json:"generation"` // that serves since; of a refused one, that serves on
	Error      string    `json:"error"`      // why it was refused; "": it was not
	Added      int       `json:"added"`      // routes
	Removed    int       `json:"removed"`
	Changed    int       `json:"changed"`
}

// SteeringStatus describes the program in the kernel.
type SteeringStatus struct {
	Attached        bool     `json:"attached"`
	Pinned          bool     `json:"pinned"`
	OnDeath         string   `json:"on_death"` // what clients meet if the process is killed: refused, unreachable or exposed
	ProgramID       uint32   `json:"program_id"`
	ForeignPrograms []uint32 `json:"foreign_programs"` // ids of sk_lookup programs of others in this network namespace
	Prefixes        int      `json:"prefixes"`
	Generation      uint64   `json:"generation"`      // of the table in the kernel, which outlives the process where it is pinned
	Missing         []string `json:"missing"`         // what others have removed from the kernel and is not back: local routes, the interface lo, the rule of the local table, source addresses
	RoutesRestored  uint64   `json:"routes_restored"` // local routes that others removed and that were put back

	FastPath FastPathStatus `json:"fast_path"`

	Unmatched map[string]uint64 `json:"unmatched"`       // verdict → SYNs and datagrams for served prefixes that no route takes
	Error     string            `json:"error,omitempty"` // why the kernel could not be asked
}

// Exposed is the OnDeath of a steering that leaves clients to the host's own listeners.
const Exposed = "exposed"

// AnnounceStatus is what is announced to routing daemons, by a kernel table.
type AnnounceStatus struct {
	Table    int            `json:"table"`
	Protocol int            `json:"protocol"` // of the routes, as ip route has it
	Device   string         `json:"device"`   // that they are on
	Metric   int            `json:"metric"`   // of them; 1000 more while their prefix drains
	Prefixes map[string]int `json:"prefixes"` // verdict → prefixes. A route stands for those that are announced, draining or kept
	Problem  string         `json:"problem"`  // why this host cannot serve; "": it can
	Kept     string         `json:"kept"`     // why prefixes stay announced though they should be withdrawn; "": none do
	Error    string         `json:"error"`    // why the kernel does not have the routes that it should; "": it has

	RoutesRestored uint64         `json:"routes_restored"` // that others removed and that were put back
	Parts          []AnnouncePart `json:"parts"`           // the host, then each route that serves
}

// AnnouncePart is one of the things that an announced prefix depends on.
type AnnouncePart struct {
	Route       string  `json:"route"` // "": the host itself
	Verdict     string  `json:"verdict"`
	Flaps       uint64  `json:"flaps"`        // withdrawals because it was not ready
	Penalty     float64 `json:"penalty"`      // for these: it halves in a minute; above 2500 the prefixes wait until it is below 1000
	WaitSeconds float64 `json:"wait_seconds"` // until it is announced, if it stays ready
}

// FastPathStatus is between which devices the kernel forwards UDP flows by itself.
type FastPathStatus struct {
	Off     string       `json:"off"`     // why it forwards none at all; "": it does
	Way     string       `json:"way"`     // how its program is attached: "tcx" or, before Linux 6.6, "clsact" (a filter of tc); "" if it is off
	Devices []FastDevice `json:"devices"` // none if it is off
}

// FastDevice is a device of the network namespace that is up.
type FastDevice struct {
	Name string `json:"name"`
	Off  string `json:"off"` // why no flow is forwarded over it, such as the rule that would be bypassed; "": they are
}

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

// OriginStatus is one origin of a route.
type OriginStatus struct {
	Address string `json:"address"`
	Name    string `json:"name,omitempty"` // the DNS name that the address is of
	Gone    bool   `json:"gone,omitempty"` // the name no longer has it: it only ends the conns that it has
	Up      bool   `json:"up"`
	Forced  string `json:"forced"` // the state forced by hand: "drain" or "down"; "" = none
	Weight  int    `json:"weight"` // for new conns; an operator's until the next reload

	State   string            `json:"state"`           // "up", or why it is not: "check_failed", "ejected", "forced_down", …
	Why     string            `json:"why"`             // the reason of the last change
	Since   *time.Time        `json:"since,omitempty"` // of the last change; none: nothing has changed
	Changes map[string]uint64 `json:"changes"`         // state → how often the origin came to it

	Health string `json:"health"` // "unchecked", "up" or "down": unchecked while no check has said anything

	LastError     string            `json:"last_error"`              // a word: "refused", "timeout", "unreachable", …; "": there was none
	LastErrno     string            `json:"last_errno"`              // "ECONNREFUSED", …; "": it has none
	LastErrorAt   *time.Time        `json:"last_error_at,omitempty"` // none: there was none
	FailingSince  *time.Time        `json:"failing_since,omitempty"` // while nothing has succeeded since: the first error of these
	ConnectErrors map[string]uint64 `json:"connect_errors"`          // error → conns and flows that the origin did not take

	CheckedAt    *time.Time `json:"checked_at,omitempty"` // the last active check; none: there was none
	CheckSeconds float64    `json:"check_seconds"`
	CheckFailed  string     `json:"check_failed"`  // why; "": it passed
	ChecksFailed uint64     `json:"checks_failed"` // in all

	EjectedSince *time.Time `json:"ejected_since,omitempty"` // over TCP: while the origin is left out for that, it is not up
	FailedDials  uint64     `json:"failed_dials"`

	RefusedSince *time.Time `json:"refused_since,omitempty"` // over UDP: while the origin is left out for that, it is not up
	RefusedPorts int        `json:"refused_ports"`           // of an origin with many ports: those left out
	Refusals     uint64     `json:"refusals"`                // ICMP errors that UDP flows have met

	ConnsActive int64  `json:"conns_active"`
	ConnsTotal  uint64 `json:"conns_total"`
	ConnsPeak   int64  `json:"conns_peak"` // the most at once since the process began
	MaxConns    int    `json:"max_conns"`  // of the file; 0: no limit
	Backup      bool   `json:"backup"`

	NewPeak float64    `json:"new_per_second_peak"`   // the most that it was given in a second since the process began
	LastNew *time.Time `json:"last_new_at,omitempty"` // when it was given one last, to a second; none: none since the process began

	ConnectSeconds *float64 `json:"average_connect_seconds,omitempty"` // as in RouteStatus, here and below
	SessionSeconds *float64 `json:"average_session_seconds,omitempty"`
	Retries        uint64   `json:"retries"`                    // dials that were not the first of their conn or flow
	Moves          uint64   `json:"left"`                       // conns and flows that went on to another server after a dial of this one had failed
	DownSeconds    float64  `json:"down_seconds"`               // how long it was down, by its checks or by hand, or ejected
	TimesDown      uint64   `json:"times_down"`                 // how often that began
	SlowStart      *float64 `json:"slow_start_share,omitempty"` // the part of its weight that it gets while it comes back; none: all of it

	Accepts      uint64  `json:"-"` // only for /metrics: conns that it has accepted
	AcceptTime   float64 `json:"-"` // seconds from the dials until then, all together
	Sessions     uint64  `json:"-"` // conns and flows of it that have ended
	SessionsTime float64 `json:"-"` // seconds that these have lasted, all together

	BytesToOrigin uint64 `json:"bytes_to_origin"` // payload
	BytesToClient uint64 `json:"bytes_to_client"`

	SourcePorts map[string]int64 `json:"source_ports_used,omitempty"` // source address, or "auto" on routes without source → local ports that live TCP conns use
}

// ConfirmStatus says when everything is given back, unless somebody confirms.
type ConfirmStatus struct {
	Deadline    time.Time `json:"deadline"`
	SecondsLeft float64   `json:"seconds_left"`
}

// Drift says where the tables in the kernel differ from the config in service.
type Drift struct {
	Lines []string `json:"drift"`
}
