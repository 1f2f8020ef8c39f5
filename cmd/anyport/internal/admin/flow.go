package admin

// Flow is a live conn (tcp) or flow (udp), in the words of `anyport flows --json`.
type Flow struct {
	Protocol    string  `json:"protocol"`
	Client      string  `json:"client"`
	Peer        string  `json:"peer,omitempty"` // that named the client in a PROXY header
	Dst         string  `json:"dst"`
	Route       string  `json:"route"`
	Origin      string  `json:"origin"`            // "" before one is reached
	Waiting     bool    `json:"waiting,omitempty"` // in its route's queue for an origin
	AgeSeconds  float64 `json:"age_seconds"`
	IdleSeconds float64 `json:"idle_seconds"` // since the last byte or datagram, in either direction
	ToOrigin    uint64  `json:"bytes_to_origin"`
	ToClient    uint64  `json:"bytes_to_client"`
}

// FlowList holds all flows of an answer at once; [Client.Flows] does without it.
type FlowList struct {
	Flows []Flow `json:"flows"`
}

// MostTop bounds how many of the busiest flows can be asked for.
const MostTop = 1000
