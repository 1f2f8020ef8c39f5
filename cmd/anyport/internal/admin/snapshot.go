package admin

import "time"

// Snapshot is what the page of admin.http gets once a second: the status, with lists cut to what a page
// can show, and sums over all routes.
type Snapshot struct {
	At          int64  `json:"at"`           // milliseconds since 1970
	RoutesTotal int    `json:"routes_total"` // Routes has the first of them: see RoutesShown
	Totals      Totals `json:"totals"`
	Drops       []Drop `json:"drops"`
	Status
}

// Totals are sums over all routes.
type Totals struct {
	ConnsActive   int64  `json:"conns_active"`
	ConnsTotal    uint64 `json:"conns_total"`
	BytesToOrigin uint64 `json:"bytes_to_origin"`
	BytesToClient uint64 `json:"bytes_to_client"`
}

// Drop counts what was not served for one reason.
type Drop struct {
	Where  string `json:"where"`  // "kernel", "conns" (and flows) or "datagrams"
	Reason string `json:"reason"` // a verdict
	Count  uint64 `json:"count"`
}

// PortMap says what becomes of every port of a prefix, over one protocol.
type PortMap struct {
	Prefix   string    `json:"prefix"`
	Protocol string    `json:"protocol"`
	Served   []string  `json:"served"`       // prefixes that a map can be asked of: the first of them
	Total    int       `json:"served_total"` // their number
	Runs     []PortRun `json:"runs"`         // in order, from port 0 to 65535
	Hot      []PortUse `json:"hot"`          // ports with live conns or flows, by their number
	Partial  bool      `json:"partial"`      // there are more live conns than were counted, or more ports than are listed

	Probed      []int     `json:"probed"`       // ports that nobody serves and that got packets: first, last, packets of each port, first, last, ...
	ProbedSince time.Time `json:"probed_since"` // an hour or two ago, or when anyport began to count
	ProbedKnown bool      `json:"probed_known"` // false: too many other prefixes get more
}

// PortRun is neighbouring ports that have one verdict and one route.
type PortRun struct {
	First   int      `json:"first"`
	Last    int      `json:"last"`
	Verdict string   `json:"verdict"`
	Route   string   `json:"route"` // "": no route takes them
	Origins []string `json:"origins"`
	Closed  string   `json:"closed,omitempty"` // why the route takes nothing new just now; "": it does
}

// PortUse is the live conns or flows of a port.
type PortUse struct {
	Port  int    `json:"port"`
	Conns int    `json:"conns"`
	Bytes uint64 `json:"bytes"` // that they have carried
}
