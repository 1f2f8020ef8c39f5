package admin

import (
	"net/netip"
	"time"

	"anyport/config"
)

// Reloaded is what a reload has changed, or would change.
type Reloaded struct {
	DryRun     bool             `json:"dry_run"`
	Path       string           `json:"path"`
	Generation int              `json:"generation"` // in service now
	Keys       []config.KeyDiff `json:"keys"`       // outside the routes
	Routes     []RouteChange    `json:"routes"`

	Trial        TrialEnd `json:"trial,omitempty"`         // what was done to a share of the clients; "": it is for all
	SharePercent float64  `json:"share_percent,omitempty"` // of the clients
}

// TrialEnd is what an order has done to a table or process that serves a share of the clients.
type TrialEnd string

// The orders: reload or upgrade with --share, --all and --back.
const (
	TrialBegun TrialEnd = "begun"
	TrialAll   TrialEnd = "all"
	TrialBack  TrialEnd = "back"
)

// RouteChange is a route that differs, or whose conns are affected by a change of another route.
// Live conns and flows keep the settings that they began with. Those whose route is removed, and
// those whose dst no route forwards any more, have their route's drain_timeout left and are reset
// then.
type RouteChange struct {
	config.RouteDiff
	ConnsActive  int64   `json:"conns_active"`
	ConnsEnding  int64   `json:"conns_ending"` // of these
	DrainSeconds float64 `json:"drain_seconds"`
}

// Unchanged is a route that loses dsts to the change of another route.
const Unchanged config.Change = "unchanged"

// Named returns the names of the routes that have changed in this way.
func (r Reloaded) Named(change config.Change) []string {
	var names []string
	for _, c := range r.Routes {
		if c.Change == change {
			names = append(names, c.Name)
		}
	}
	return names
}

// DrainOrder is an order to drain.
type DrainOrder struct {
	Route string // "": all of them
	Undo  bool   // take new conns again
	Wait  bool   // answer when the last conn has ended
	Force bool   // also if the fleet needs this host
}

// Drained is the state after an order to drain, or to undo it.
type Drained struct {
	Draining bool             `json:"draining"`
	Conns    map[string]int64 `json:"conns_active"` // live conns and flows of the routes named
}

// Total is the number of live conns and flows of all its routes.
func (d Drained) Total() (n int64) {
	for _, active := range d.Conns {
		n += active
	}
	return n
}

// Confirmed is a run with --confirm that keeps what it serves.
type Confirmed struct {
	Path        string  `json:"path"`
	SecondsLeft float64 `json:"seconds_left"` // that there were
}

// OriginOrder is what an operator wants of an origin: a state, or a weight.
type OriginOrder struct {
	Route   string
	Address string // as the file has it
	State   string // "drain", "down" or "ready"; "": the weight
	Weight  int
}

// Upgraded describes the process that serves after an upgrade; after --share, the process that serves a share.
type Upgraded struct {
	PID    int    `json:"pid"`
	Binary string `json:"binary"`
	Flows  int    `json:"flows"` // that moved
	Conns  int    `json:"conns"` // that moved
	Left   int    `json:"left"`  // that stay with the old process until they end, or drain_timeout cuts them

	Trial        TrialEnd `json:"trial,omitempty"`         // what was done to a share of the clients; "": it is for all
	SharePercent float64  `json:"share_percent,omitempty"` // of the clients
}

// Question is the first packet that explain is asked about.
type Question struct {
	Protocol config.Protocol
	Dst      netip.AddrPort
	Client   netip.Addr // the zero value: not given
	At       time.Time  // the zero value: now
}

// Explained is the answer of a running anyport.
type Explained struct {
	Text   string   `json:"text"`   // the explanation by the table in service, as explain prints it
	Kernel []string `json:"kernel"` // the answer of the program in the kernel, and what else takes the packet
	File   string   `json:"file"`   // whether the file on disk has another answer
	PID    int      `json:"pid"`    // of the process that answers
}
