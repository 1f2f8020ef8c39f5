package admin

// Flow is a live conn (tcp) or flow (udp), in the words of `anyport flows --json`.
type Flow struct {
	ID          string  `json:"id"` // what `anyport kill` takes; another after an upgrade
	Protocol    string  `json:"protocol"`
	Client      string  `json:"client"`
	Peer        string  `json:"peer,omitempty"` // that named the client in a PROXY header
	Dst         string  `json:"dst"`
	Route       string  `json:"route"`
	Origin      string  `json:"origin"`            // "" before one is reached
	State       string  `json:"state"`             // one of FlowStates
	Waiting     bool    `json:"waiting,omitempty"` // in its route's queue for an origin
	AgeSeconds  float64 `json:"age_seconds"`
	IdleSeconds float64 `json:"idle_seconds"` // since the last byte or datagram, in either direction
	ToOrigin    uint64  `json:"bytes_to_origin"`
	ToClient    uint64  `json:"bytes_to_client"`
	Path        string  `json:"path,omitempty"`        // of a flow: PathKernel or PathUser
	PathReason  string  `json:"path_reason,omitempty"` // why its datagrams pass user space, in one word

	*FlowRates // of `anyport flows --sort rate`
}

// The ways that the datagrams of a flow go: the kernel forwards them by itself, or they pass the process.
const (
	PathKernel = "kernel"
	PathUser   = "user"
)

// FlowRates is what a flow has carried between two lists.
type FlowRates struct {
	ToOrigin float64 `json:"bytes_to_origin_per_second"`
	ToClient float64 `json:"bytes_to_client_per_second"`
}

// FlowList holds all flows of an answer at once; [Client.Flows] does without it.
type FlowList struct {
	Flows []Flow `json:"flows"`
	Total int    `json:"total,omitempty"` // of a sorted list: how many there are, of which Flows has the first
	Left  []Left `json:"left,omitempty"`
}

// Left is a process that an upgrade has replaced, and that still has conns or flows: the process that answers
// cannot list or end them.
type Left struct {
	PID         int    `json:"pid"`
	ConnsActive uint64 `json:"conns_active"` // about a second ago at most
}

// Killed is what an order to end conns and flows has ended.
type Killed struct {
	Ended   int      `json:"ended"`
	Missing []string `json:"missing"` // the ids that no live conn or flow has
	Left    []Left   `json:"left,omitempty"`
}
