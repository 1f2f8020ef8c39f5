package admin

import "time"

// ShadowStatus is what `anyport run --shadow` has counted. Each conn counts once, by its SYN, and each
// flow, by its first datagram.
type ShadowStatus struct {
	Since       time.Time     `json:"since"`        // the start, or the last reload
	Seen        uint64        `json:"seen"`         // to served prefixes
	Waiting     int           `json:"waiting"`      // for an answer, or for an idle UDP flow to end
	NotExamined uint64        `json:"not_examined"` // packets that came faster than they are read
	Routes      []ShadowRoute `json:"routes"`       // in the order of the file; last the one without a name: no route takes it
}

// ShadowRoute is what anyport would do by one route.
type ShadowRoute struct {
	Name        string             `json:"name"`
	Seen        uint64             `json:"seen"`
	Would       map[string]uint64  `json:"would"`       // verdict → conns and flows
	Today       map[string]uint64  `json:"today"`       // who handles them now: proxy, listener, socket, forwarded, refused or silent
	Differences []ShadowDifference `json:"differences"` // the most frequent first
}

// ShadowDifference is something that clients would notice.
type ShadowDifference struct {
	Today   string        `json:"today"`
	Anyport string        `json:"anyport"` // the verdict
	Meaning string        `json:"meaning"`
	Count   uint64        `json:"count"`
	Top     []ShadowPlace `json:"top"`
}

// ShadowPlace is a port of a prefix.
type ShadowPlace struct {
	Prefix   string `json:"prefix"`
	Protocol string `json:"protocol"`
	Port     uint16 `json:"port"`
	Count    uint64 `json:"count"`
}
