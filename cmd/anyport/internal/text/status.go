package text

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/proxy/route"
)

// Status writes a few lines about the process, then a table of the routes and one of their origins.
func Status(w io.Writer, s *admin.Status) error {
	if s.Shadow != nil {
		return Shadow(w, s)
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range summary(s) {
		fmt.Fprintf(out, "%s\t%s\n", line[0], line[1])
	}
	fmt.Fprintln(out)
	printRows(out, "ROUTE\tPROTOCOL\tPREFIXES\tPORTS\tACTIVE\tTOTAL\tREFUSED\tDENIED\tLIMITED\tTO ORIGIN\tTO CLIENT", routeRows(s))
	if rows := originRows(s); len(rows) > 0 {
		fmt.Fprintln(out)
		printRows(out, "ORIGIN\tROUTE\tSTATE\tACTIVE\tTOTAL", rows)
	}
	if rows := serviceRows(s); len(rows) > 0 {
		fmt.Fprintln(out)
		printRows(out, "SERVICE\tROUTE\tPROTOCOL\tLISTENER\tPROCESS\tSINCE\tLOOKUPS", rows)
	}
	if len(s.Doors) > 0 {
		fmt.Fprintln(out)
		printRows(out, "DOOR OPEN TO\tROUTE\tUNTIL", doorRows(s.Doors))
	}
	if s.Resolver != nil {
		fmt.Fprintln(out)
		printRows(out, "NAME\tADDRESSES\tTTL\tSERVER\tERROR", nameRows(s.Resolver.Names))
	}
	return out.Flush()
}

// printRows ends the block of columns before it, so that each aligns on its own.
func printRows(out *tabwriter.Writer, head string, rows []string) {
	out.Flush()
	fmt.Fprintln(out, head)
	for _, row := range rows {
		fmt.Fprintln(out, row)
	}
}

// summary has a line for each thing; what an operator must see has its name in capitals.
func summary(s *admin.Status) [][2]string {
	lines := [][2]string{
		{"anyport", fmt.Sprintf("%s, pid %d, %s for %v", s.Version, s.PID, state(s), time.Duration(s.UptimeSeconds)*time.Second)},
		{"config", configText(s.Config)},
		{"steering", steeringText(s.Steering)},
		{"privileges", privilegesText(s)},
		{"files", filesText(s)},
		{"limits", limitsText(s)},
	}
	if s.Resolver != nil {
		lines = append(lines, resolverLine(s.Resolver))
	}
	if s.Confirm != nil {
		left := time.Duration(s.Confirm.SecondsLeft * float64(time.Second)).Round(time.Second)
		lines = append(lines, [2]string{"CONFIRM", fmt.Sprintf("within %v, or all is given back: anyport confirm", left)})
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

// routeRows has a row for each route, in the order of the file. REFUSED, DENIED and LIMITED join what the
// kernel and the proxy have counted.
func routeRows(s *admin.Status) []string {
	var rows []string
	for _, r := range s.Routes {
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s",
			routeText(r), strings.Join(r.Protocol, ","), some(r.Prefixes), ports(r),
			r.ConnsActive, r.ConnsTotal, r.Refused, r.Denied, r.Limited, Bytes(r.BytesToOrigin), Bytes(r.BytesToClient)))
	}
	return rows
}

// routeText is the name of a route, whether it drains, and how many conns wait in its queue.
func routeText(r admin.RouteStatus) string {
	var notes []string
	if r.Draining {
		notes = append(notes, "draining")
	}
	if r.QueueWaiting != nil && *r.QueueWaiting > 0 {
		notes = append(notes, fmt.Sprintf("%d waiting", *r.QueueWaiting))
	}
	if len(notes) == 0 {
		return r.Name
	}
	return r.Name + " (" + strings.Join(notes, ", ") + ")"
}

// originRows has a row for each origin of each route: one address may serve several routes, with a state for each.
func originRows(s *admin.Status) []string {
	var rows []string
	for _, r := range s.Routes {
		for _, o := range r.Origins {
			rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%d\t%d", originText(o), r.Name, originState(o), o.ConnsActive, o.ConnsTotal)+sourcesText(o))
		}
	}
	return rows
}

// sourcesText is how many local ports of each source the conns to an origin use; "" where none are counted.
func sourcesText(o admin.OriginStatus) string {
	var text string
	for _, source := range slices.Sorted(maps.Keys(o.SourcePorts)) {
		if source == "auto" { // of an origin's TCP conns these are all
			continue
		}
		text += fmt.Sprintf("\t%d from %s", o.SourcePorts[source], source)
	}
	return text
}

// originText is the address of an origin, and the DNS name that it is of.
func originText(o admin.OriginStatus) string {
	if o.Name == "" || strings.HasPrefix(o.Address, o.Name) {
		return o.Address
	}
	return o.Address + " (" + o.Name + ")"
}

// originState is the state forced by hand, or else what the proxy has found.
func originState(o admin.OriginStatus) string {
	state := o.State
	switch {
	case o.Gone:
		state = "gone from its name"
	case o.Name != "" && strings.HasPrefix(o.Address, o.Name):
		state = "no address"
	case o.Up && o.RefusedPorts > 0:
		state = fmt.Sprintf("up (%d ports refused)", o.RefusedPorts)
	case o.Up:
		state = "up"
	case o.RefusedSince != nil:
		state = "refused since " + o.RefusedSince.Format(time.TimeOnly)
	case o.EjectedSince != nil:
		state = "ejected since " + o.EjectedSince.Format(time.TimeOnly)
	case o.Since != nil:
		state = "down since " + o.Since.Format(time.TimeOnly)
		if o.Why != "" {
			state += ": " + o.Why
		}
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
