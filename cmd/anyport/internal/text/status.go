package text

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/proxy/health"
	"anyport/proxy/route"
)

// Status writes a few lines about the process, then a table of the routes and one of their origins.
func Status(w io.Writer, s *admin.Status) error {
	if s.Shadow != nil {
		return Shadow(w, s)
	}
	var out bytes.Buffer
	writeLabelled(&out, summary(s))
	for _, t := range []Grid{routeTable(s), originTable(s), serviceTable(s), peerTable(s.Peers), doorTable(s.Doors), nameTable(s.Resolver)} {
		if len(t.Rows) > 0 {
			out.WriteString("\n" + strings.Join(t.Lines(lineWidth), "\n") + "\n")
		}
	}
	_, err := out.WriteTo(w)
	return err
}

// statusGrid is a table of status, which fits a narrow terminal: a name that is too long has a line of its own.
func statusGrid(heads ...string) Grid {
	g := newGrid(heads, heads...)
	g.Columns[0].Alone = true
	return g
}

// summary has a line for each thing; what an operator must see has its name in capitals.
func summary(s *admin.Status) [][2]string {
	lines := [][2]string{
		{"anyport", fmt.Sprintf("%s, pid %d, %s for %v", s.Version, s.PID, state(s), time.Duration(s.UptimeSeconds)*time.Second)},
		{"config", configText(s.Config)},
		{"steering", steeringText(s.Steering)},
		{"fast path", FastPath(s.Steering.FastPath)},
		{"privileges", privilegesText(s)},
		{"files", filesText(s)},
		{"limits", limitsText(s)},
	}
	if len(s.LoopLoads) > 0 {
		lines = append(lines, [2]string{"loops", loopsText(s)})
	}
	if s.Peers != nil {
		lines = append(lines, [2]string{"peers", Peers(s.Peers)})
	}
	lines = append(lines, fleetLines(s.Fleet)...)
	if s.Resolver != nil {
		lines = append(lines, resolverLine(s.Resolver))
	}
	if s.Confirm != nil {
		left := time.Duration(s.Confirm.SecondsLeft * float64(time.Second)).Round(time.Second)
		lines = append(lines, [2]string{"CONFIRM", fmt.Sprintf("within %v, or all is given back: anyport confirm", left)})
	}
	lines = append(lines, trialLines(s.Trial)...)
	lines = append(lines, guardLines(s.Guard)...)
	lines = append(lines, announceLines(s.Announce)...)
	for _, l := range s.Left {
		lines = append(lines, [2]string{"before", Left(l)})
	}
	if s.Scans.Reported+s.Scans.Skipped > 0 {
		lines = append(lines, [2]string{"scans", scansText(s.Scans)})
	}
	for _, what := range s.Steering.Missing {
		lines = append(lines, [2]string{"MISSING", what})
	}
	for _, r := range s.Routes {
		if r.Hours != nil {
			lines = append(lines, [2]string{"hours", hoursText(r)})
		}
		if r.HeldBack > 0 {
			lines = append(lines, [2]string{"held back", heldBackText(r)})
		}
	}
	return lines
}

// heldBackText says how much a route did not answer, and which key decides.
func heldBackText(r admin.RouteStatus) string {
	n := r.Datagrams[route.ToClient.String()][route.Amplified.String()]
	return fmt.Sprintf("route %s: %s, %s, to clients that had not shown that they are there: see amplification_budget",
		r.Name, Count(int(n), "datagram", "datagrams"), Bytes(r.HeldBack))
}

// filesText says how many file descriptors each use holds, and how many it may.
func filesText(s *admin.Status) string {
	u := s.FileShares
	return fmt.Sprintf("%d of %d used: tcp %d of %d, flows %d of %d, replies %d of %d; %d in reserve", s.FilesUsed, s.Files,
		u.TCP.Held, u.TCP.Most, u.Flows.Held, u.Flows.Most, u.Replies.Held, u.Replies.Most, u.Reserve)
}

// limitsText has the limits of a client too, which hold on routes without max_flows_per_client.
func limitsText(s *admin.Status) string {
	return fmt.Sprintf("%d flows, %d of them with a socket each; of one client %d with a socket, %d without, unless its route says otherwise",
		s.MaxFlows, s.MaxSockets, s.ClientSockets, s.ClientFlows)
}

// loopsText says how many event loops there are, and how much of its time the busiest of each protocol waits.
func loopsText(s *admin.Status) string {
	idle := map[string]float64{}
	for _, l := range s.LoopLoads {
		protocol, _, _ := strings.Cut(l.Name, "/")
		if least, known := idle[protocol]; !known || l.Idle < least {
			idle[protocol] = l.Idle
		}
	}
	text := fmt.Sprint(s.Loops)
	for _, protocol := range slices.Sorted(maps.Keys(idle)) {
		text += fmt.Sprintf(", %s idle %.0f %%", protocol, 100*idle[protocol])
	}
	if s.LoopsStuck > 0 {
		text += fmt.Sprintf(", %d DO NOT RESPOND", s.LoopsStuck)
	}
	return text + fmt.Sprintf("; at most %s new conns and flows a second so far", perSecond(s.NewPeak))
}

// configText says which file serves. A refused reload is in capitals: the file on disk is not in service.
func configText(c admin.ConfigStatus) string {
	text := fmt.Sprintf("%s, generation %d, loaded %s", c.Path, c.Generation, c.LoadedAt.Format(time.DateTime))
	if c.Refused != "" {
		text += ", LAST RELOAD REFUSED: " + strings.ReplaceAll(strings.TrimSpace(c.Refused), "\n", "; ")
	}
	return text
}

// privilegesText names the capabilities that the process has kept; most of them are dropped at the start.
func privilegesText(s *admin.Status) string {
	held := strings.Join(s.Privileges.Capabilities, ", ")
	return fmt.Sprintf("user %s, %s", s.Privileges.User, cmp.Or(held, "no capabilities"))
}

// state is how the process runs.
func state(s *admin.Status) string {
	if s.Stopping {
		return "stopping, up"
	}
	return "up"
}

// steeringText describes the program in the kernel. What may harm is in capitals.
func steeringText(s admin.SteeringStatus) string {
	text := "DETACHED"
	if s.Attached {
		text = fmt.Sprintf("attached, program %d", s.ProgramID)
	}
	if s.Pinned {
		text += ", pinned"
	}
	if s.OnDeath == admin.Exposed {
		text += ", EXPOSES the host's listeners if it is killed"
	}
	text += ", " + Count(s.Prefixes, "prefix", "prefixes")
	if s.RoutesRestored > 0 {
		text += fmt.Sprintf(", %s put back after others removed them", Count(int(s.RoutesRestored), "local route", "local routes"))
	}
	if len(s.ForeignPrograms) > 0 {
		text += fmt.Sprintf(", beside foreign programs %v", s.ForeignPrograms)
	}
	return text
}

// routeTable has a row for each route, in the order of the file. REFUSED, DENIED and LIMITED join what
// the kernel and the proxy have counted.
func routeTable(s *admin.Status) Grid {
	t := statusGrid("ROUTE", "ACTIVE", "TOTAL", "REFUSED", "DENIED", "LIMITED", "TO ORIGIN", "TO CLIENT")
	for _, r := range s.Routes {
		t.Add([]string{
			routeText(r), fmt.Sprint(r.ConnsActive), compact(r.ConnsTotal), compact(r.Refused), compact(r.Denied), compact(r.Limited),
			Bytes(r.BytesToOrigin), Bytes(r.BytesToClient),
		}, fmt.Sprintf("%s  %s  %s", strings.Join(r.Protocol, ","), some(r.Prefixes), ports(r)))
	}
	return t
}

// routeText is the name of a route, whether it drains, whether all its origins fail, and how many conns
// wait in its queue.
func routeText(r admin.RouteStatus) string {
	var notes []string
	if r.Draining {
		notes = append(notes, "draining")
	}
	if r.UnreachableSince != nil {
		notes = append(notes, "UNREACHABLE")
	}
	if r.QueueWaiting != nil && *r.QueueWaiting > 0 {
		notes = append(notes, fmt.Sprintf("%d waiting", *r.QueueWaiting))
	}
	if len(notes) == 0 {
		return r.Name
	}
	return r.Name + " (" + strings.Join(notes, ", ") + ")"
}

// originTable has a row for each origin of each route: one address may serve several routes, with a state
// for each. It is named as `anyport origin` takes it.
func originTable(s *admin.Status) Grid {
	t := statusGrid("ROUTE/ORIGIN", "STATE", "ACTIVE", "TOTAL")
	for _, r := range s.Routes {
		for _, o := range r.Origins {
			t.Add([]string{r.Name + "/" + originText(o), originState(o), fmt.Sprint(o.ConnsActive), compact(o.ConnsTotal)},
				checkText(o), errorText(o), sourcesText(o))
		}
	}
	return t
}

// checkText is why an origin is down; "" if it is not, or that is not known.
func checkText(o admin.OriginStatus) string {
	if o.Up || o.Forced != "" || o.State != health.CheckFailed.String() {
		return ""
	}
	return o.Why
}

// errorText is the last error of an origin, and since when it has had nothing but errors.
func errorText(o admin.OriginStatus) string {
	errno := ""
	if o.LastErrno != "" {
		errno = " (" + o.LastErrno + ")"
	}
	switch {
	case o.FailingSince != nil:
		return fmt.Sprintf("fails since %s: %s%s", o.FailingSince.Format(time.TimeOnly), o.LastError, errno)
	case o.LastErrorAt != nil:
		return fmt.Sprintf("last error %s: %s%s", o.LastErrorAt.Format(time.TimeOnly), o.LastError, errno)
	}
	return ""
}

// sourcesText is how many local ports of each source the conns to an origin use; "" if none are counted.
func sourcesText(o admin.OriginStatus) string {
	var all []string
	for _, source := range slices.Sorted(maps.Keys(o.SourcePorts)) {
		all = append(all, fmt.Sprintf("%d from %s", o.SourcePorts[source], source))
	}
	if len(all) == 0 {
		return ""
	}
	return "ports: " + strings.Join(all, ", ")
}

// originText is the address of an origin, and the DNS name that it is of.
func originText(o admin.OriginStatus) string {
	if o.Name == "" || strings.HasPrefix(o.Address, o.Name) {
		return o.Address
	}
	return o.Address + " (" + o.Name + ")"
}

// originState is the state forced by hand, or else what the proxy has found. What no check has found up
// is not called up.
func originState(o admin.OriginStatus) string {
	state, well := o.State, cmp.Or(o.Health, "up")
	switch {
	case o.Gone:
		state = "gone from its name"
	case o.Name != "" && strings.HasPrefix(o.Address, o.Name):
		state = "no address"
	case o.Up && o.RefusedPorts > 0:
		state = fmt.Sprintf("%s (%s refused)", well, Count(o.RefusedPorts, "port", "ports"))
	case o.Up:
		state = well
	case o.RefusedSince != nil:
		state = "refused since " + o.RefusedSince.Format(time.TimeOnly)
	case o.EjectedSince != nil:
		state = "ejected since " + o.EjectedSince.Format(time.TimeOnly)
	case o.Since != nil:
		state = "down since " + o.Since.Format(time.TimeOnly)
	}
	return cmp.Or(o.Forced, state, "down")
}

// ports shortens the full range to "all", and names an action other than forward.
func ports(r admin.RouteStatus) string {
	text := some(r.Ports)
	if text == "1-65535" {
		text = "all"
	}
	if r.Action != "forward" {
		text += " → " + r.Action
	}
	return text
}
