package daemon

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/scans"
	"anyport/config"
	"anyport/proxy/route"
	"anyport/steering/table"
)

// Bounds of a map of ports: a table may have a million prefixes, and as many conns may be live.
const (
	servedShown  = 256
	hotShown     = 4096
	connsCounted = 200_000
	originsNamed = 8 // of a run
)

// PortMap says what becomes of every port of the prefix that holds addr; an invalid addr stands for the first
// prefix served.
func (s service) PortMap(protocol config.Protocol, addr netip.Addr) (admin.PortMap, error) {
	g := s.d.serving.Load()
	served := g.table.Served(servedShown)
	if !addr.IsValid() {
		if len(served) == 0 {
			return admin.PortMap{}, fmt.Errorf("no prefix is served: %s has no route", g.config.Path)
		}
		addr = served[0].Addr()
	}
	prefix, runs, ok := g.table.PortRuns(protocol, addr)
	if !ok {
		return admin.PortMap{}, fmt.Errorf("no prefix holds %s: its packets are not steered", addr)
	}
	m := admin.PortMap{Prefix: prefix.String(), Protocol: protocol.String(), Served: []string{}, Total: g.table.Prefixes(), Runs: s.d.markClosed(portRuns(runs))}
	for _, p := range served {
		m.Served = append(m.Served, p.String())
	}
	m.Hot, m.Partial = hotPorts(s.d.conns(""), func(c *route.Conn) bool {
		return c.Protocol == protocol && prefix.Contains(c.Dst.Addr().Unmap()) && g.table.Holder(c.Dst.Addr()) == prefix
	})
	m.ProbedSince, m.Probed, m.ProbedKnown = s.d.probed(prefix, protocol)
	return m, nil
}

// markClosed says which routes take nothing new just now, and why.
func (d *daemon) markClosed(runs []admin.PortRun) []admin.PortRun {
	allDown, hours := d.proxy.AllDown(), d.hours.Load()
	for i := range runs {
		runs[i].Closed = closedBecause(runs[i], d.draining, allDown, hours)
	}
	return runs
}

// closedBecause is "" of a run that is not served anyway.
func closedBecause(run admin.PortRun, draining func(route string) bool, allDown map[string]bool, hours *map[string]admin.HoursStatus) string {
	if run.Route == "" || run.Verdict != string(table.Steer) && run.Verdict != string(table.Socket) {
		return ""
	}
	if hours != nil {
		if h, scheduled := (*hours)[run.Route]; scheduled && !h.Active {
			return "not in force"
		}
	}
	switch {
	case draining(run.Route):
		return "draining"
	case allDown[run.Route]:
		return "no origin is up"
	}
	return ""
}

// probed lists the ports of a prefix that got packets and that nobody serves.
func (d *daemon) probed(prefix netip.Prefix, protocol config.Protocol) (since time.Time, runs []int, known bool) {
	since, ports, known := d.scans.table.Probed(time.Now(), prefix, protocol)
	return since, probedRuns(ports), known
}

// probedRuns joins neighbouring ports that got as many packets, as admin.PortMap has them.
func probedRuns(ports []scans.PortCount) []int {
	runs := []int{} // [] in JSON, never null
	for _, p := range ports {
		if n := len(runs); n > 0 && runs[n-2] == int(p.Port)-1 && runs[n-1] == p.Packets {
			runs[n-2]++
			continue
		}
		runs = append(runs, int(p.Port), int(p.Port), p.Packets)
	}
	return runs
}

// portRuns is runs in the words of the admin API.
func portRuns(runs []table.PortRun) []admin.PortRun {
	all := make([]admin.PortRun, 0, len(runs))
	for _, r := range runs {
		run := admin.PortRun{First: int(r.Ports.First), Last: int(r.Ports.Last), Verdict: string(r.Verdict), Origins: []string{}}
		if r.Route != nil {
			run.Route = r.Route.Name
		}
		if r.Route != nil && r.Verdict == table.Steer {
			for _, o := range r.Route.Origins[:min(len(r.Route.Origins), originsNamed)] {
				run.Origins = append(run.Origins, o.Text)
			}
		}
		all = append(all, run)
	}
	return all
}

// hotPorts counts live conns and flows by port, those with most first. partial: some are not counted, or not listed.
func hotPorts(conns iter.Seq[route.Conn], matches func(*route.Conn) bool) (hot []admin.PortUse, partial bool) {
	uses, read := map[uint16]admin.PortUse{}, 0
	for c := range conns {
		if read++; read > connsCounted {
			partial = true
			break
		}
		if matches(&c) {
			use := uses[c.Dst.Port()]
			uses[c.Dst.Port()] = admin.PortUse{Port: int(c.Dst.Port()), Conns: use.Conns + 1, Bytes: use.Bytes + c.ToOrigin + c.ToClient}
		}
	}
	hot = slices.SortedFunc(maps.Values(uses), func(a, b admin.PortUse) int {
		return cmp.Or(cmp.Compare(b.Conns, a.Conns), cmp.Compare(a.Port, b.Port))
	})
	if len(hot) > hotShown {
		hot, partial = hot[:hotShown], true
	}
	return append([]admin.PortUse{}, hot...), partial // [] in JSON, never null
}
