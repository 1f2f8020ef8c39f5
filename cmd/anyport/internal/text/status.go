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
