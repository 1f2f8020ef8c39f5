package daemon

import "anyport/config"

// Reloaded is what a reload has changed, or would.
type Reloaded struct {
	DryRun     bool             `json:"dry_run"`
	Path       string           `json:"path"`
	Generation int              `json:"generation"` // in service now
	Keys       []config.KeyDiff `json:"keys"`       // outside the routes
	Routes     []RouteChange    `json:"routes"`
}

// RouteChange is a route that differs, and whom it serves now. Live conns and flows
// stay with the settings that they began with. Those of a route that is removed have
// its drain_timeout left, and are reset then.
type RouteChange struct {
	config.RouteDiff
	ConnsActive  int64   `json:"conns_active"`
	DrainSeconds float64 `json:"drain_seconds"` // of a route that is removed
}

// change joins what differs in next with the live conns by route.
func change(old, next *config.Config, active map[string]int64) Reloaded {
	diff := config.Compare(old, next)
	r := Reloaded{Path: next.Path, Keys: diff.Keys, Routes: []RouteChange{}}
	drain := map[string]float64{}
	for _, route := range old.Routes {
		drain[route.Name] = route.Drain.Seconds()
	}
	for _, d := range diff.Routes {
		c := RouteChange{RouteDiff: d, ConnsActive: active[d.Name]}
		if d.Change == config.Removed {
			c.DrainSeconds = drain[d.Name]
		}
		r.Routes = append(r.Routes, c)
	}
	return r
}

// names returns the routes that have changed in this way.
func (r Reloaded) names(change config.Change) []string {
	var names []string
	for _, c := range r.Routes {
		if c.Change == change {
			names = append(names, c.Name)
		}
	}
	return names
}
