package admin

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

// Drift says where the tables in the kernel differ from the config in service.
type Drift struct {
	Lines []string `json:"drift"`
}
