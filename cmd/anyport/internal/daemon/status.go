package daemon

import (
	"time"

	"anyport/cmd/anyport/internal/privileges"
	"anyport/proxy"
	"anyport/proxy/fdbudget"
	"anyport/steering"
)

// Status is what `anyport status --json` prints. Keys may be added, never renamed.
type Status struct {
	Version       string          `json:"version"`
	PID           int             `json:"pid"`
	UptimeSeconds int64           `json:"uptime_seconds"`
	Stopping      bool            `json:"stopping"`
	Privileges    privileges.Held `json:"privileges"`
	Files         uint64          `json:"files"`                       // file descriptors it may open
	FilesUsed     int             `json:"files_used"`                  // of them, without what the reserve is used for just now
	FileShares    fdbudget.Used   `json:"file_shares"`                 // by whom
	MaxFlows      int             `json:"max_flows"`                   // UDP flows of all routes at once
	MaxSockets    int             `json:"max_flow_sockets"`            // those of them with a socket of their own
	ClientFlows   int             `json:"max_flows_per_client"`        // on routes that do not say, without a socket of their own
	ClientSockets int             `json:"max_flow_sockets_per_client"` // and with one
	Log           LogStatus       `json:"log"`
	Config        ConfigStatus    `json:"config"`
	Steering      SteeringStatus  `json:"steering"`
	Routes        []RouteStatus   `json:"routes"`
	Unrouted      proxy.Counts    `json:"unrouted"` // what came for a dst that no route forwards (any more)
}

// LogStatus tells what was lost while a disk was full, or nobody read a pipe.
type LogStatus struct {
	Lost       uint64 `json:"lost_lines"` // of stderr, with log.access = "stderr" also of that
	AccessLost uint64 `json:"access_lost_lines"`
}

// ConfigStatus tells of the file in service.
type ConfigStatus struct {
	Path       string    `json:"path"`
	Generation int       `json:"generation"` // 1, and one more with each reload
	LoadedAt   time.Time `json:"loaded_at"`
	Refused    string    `json:"last_reload_error"` // "" where the last reload was done, or none was asked for
}

// SteeringStatus tells of our program in the kernel.
type SteeringStatus struct {
	Attached        bool             `json:"attached"`
	Pinned          bool             `json:"pinned"`
	OnDeath         steering.OnDeath `json:"on_death"` // what clients meet if the process is killed: refused, unreachable, exposed (to the host's own listeners)
	ProgramID       uint32           `json:"program_id"`
	ForeignPrograms []uint32         `json:"foreign_programs"` // ids of others' sk_lookup programs in this network namespace
	Prefixes        int              `json:"prefixes"`
	Generation      uint64           `json:"generation"`      // of the table in the kernel, which outlives the process where it is pinned
	Missing         []string         `json:"missing"`         // what others have taken from the kernel and is not back: local routes, the interface lo, the rule of the local table, source addresses
	RoutesRestored  uint64           `json:"routes_restored"` // local routes that others removed and that were put back

	Unmatched map[string]uint64 `json:"unmatched"`       // verdict → SYNs and datagrams for served prefixes that no route takes
	Error     string            `json:"error,omitempty"` // why the kernel could not be asked
}

// Drift is where the tables in the kernel are not those of the config in service.
type Drift struct {
	Lines []string `json:"drift"`
}

// RouteStatus joins what the kernel and the proxy count of a route.
type RouteStatus struct {
	proxy.RouteStatus
	Lookups  uint64 `json:"lookups"` // SYNs and datagrams that the kernel decided by this route
	Refused  uint64 `json:"refused"` // of these, answered with RST or ICMP port unreachable
	Dropped  uint64 `json:"dropped"` // of these, left in silence
	Draining bool   `json:"draining"`

	Verdicts map[string]uint64 `json:"verdicts"` // the lookups by what the kernel decided
}
