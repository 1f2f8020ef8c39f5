package daemon

import (
	"os"
	"time"

	"anyport/cmd/anyport/internal/privileges"
	"anyport/proxy"
	"anyport/steering"
	"anyport/steering/table"
)

// status asks the kernel and the proxy, and joins their answers.
func (d *daemon) status() Status {
	kernel, err := d.steering.Status()
	used := d.proxy.Files()
	return Status{
		Version:       d.opt.Version,
		PID:           os.Getpid(),
		UptimeSeconds: int64(time.Since(d.begun).Seconds()),
		Stopping:      d.stopping.Load(),
		Files:         uint64(d.proxy.Budget().Limit),
		FilesUsed:     used.All(),
		FileShares:    used,
		MaxFlows:      d.maxFlows(),
		MaxSockets:    d.maxSockets(),
		ClientFlows:   d.clientFlows,
		ClientSockets: d.clientSockets,
		Privileges:    d.held(),
		Log:           d.logStatus(),
		Config:        d.configStatus(),
		Steering:      steeringStatus(kernel, err),
		Routes:        joinRoutes(d.proxy.Status(), kernel.Counters, d.draining),
		Unrouted:      d.proxy.Unrouted(),
	}
}

func (d *daemon) configStatus() ConfigStatus {
	g := d.serving.Load()
	status := ConfigStatus{Path: g.config.Path, Generation: g.number, LoadedAt: g.loaded}
	if why := d.refused.Load(); why != nil {
		status.Refused = *why
	}
	return status
}

// held tells nothing where the process cannot be asked, which has no cause known.
func (d *daemon) held() privileges.Held {
	held, err := privileges.Read()
	if err != nil {
		d.log.Debug("the privileges cannot be read", "error", err)
	}
	return held
}

func steeringStatus(kernel steering.Status, err error) SteeringStatus {
	status := SteeringStatus{
		Attached:        kernel.Attached,
		Pinned:          kernel.Pinned,
		OnDeath:         kernel.OnDeath,
		ProgramID:       kernel.ProgramID,
		ForeignPrograms: append([]uint32{}, kernel.Foreign...), // [] in JSON, never null
		Prefixes:        kernel.Prefixes,
		Generation:      kernel.Generation,
		Missing:         append([]string{}, kernel.Missing...),
		RoutesRestored:  kernel.Restored,
		Unmatched:       map[string]uint64{},
	}
	for _, c := range kernel.Counters {
		if c.Route == "" {
			status.Unmatched = words(c.Verdicts)
		}
	}
	if err != nil {
		status.Error = err.Error()
	}
	return status
}

// draining reports whether a route takes nothing new.
func (d *daemon) draining(route string) bool { return d.stopping.Load() || d.drains.Load().has(route) }

// joinRoutes adds to each route what the kernel has counted under its name.
func joinRoutes(served []proxy.RouteStatus, kernel []steering.Counters, draining func(route string) bool) []RouteStatus {
	verdicts := map[string]map[table.Verdict]uint64{}
	for _, c := range kernel {
		verdicts[c.Route] = c.Verdicts
	}
	routes := []RouteStatus{}
	for _, r := range served {
		status := RouteStatus{RouteStatus: r, Draining: draining(r.Name), Verdicts: words(verdicts[r.Name])}
		for _, n := range verdicts[r.Name] {
			status.Lookups += n
		}
		status.Refused = verdicts[r.Name][table.Refuse]
		status.Dropped = verdicts[r.Name][table.Drop]
		status.Denied += verdicts[r.Name][table.Deny]
		status.Limited += verdicts[r.Name][table.Limit]
		routes = append(routes, status)
	}
	return routes
}

// words turns verdicts into the keys of a JSON object.
func words(verdicts map[table.Verdict]uint64) map[string]uint64 {
	named := map[string]uint64{}
	for v, n := range verdicts {
		named[string(v)] = n
	}
	return named
}
