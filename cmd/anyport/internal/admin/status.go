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

// ConfirmStatus says when everything is given back, unless somebody confirms.
type ConfirmStatus struct {
	Deadline    time.Time `json:"deadline"`
	SecondsLeft float64   `json:"seconds_left"`
}
