package text

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/fleet/overview"
	"anyport/proxy/logfile"
)

// Fleet writes the table, the push that runs, and a line for each host, with what is wrong with it below. Texts of
// hosts are those of others: they are made printable.
func Fleet(w io.Writer, o overview.Overview, width int, now time.Time) error {
	writeLabelled(w, fleetHead(o, now))
	if len(o.Hosts) == 0 {
		_, err := fmt.Fprintln(w, "no host reports to this source")
		return err
	}
	fmt.Fprintln(w)
	if err := fleetGrid(o, now).Write(w, width); err != nil {
		return err
	}
	sum := Count(len(o.Hosts), "host, as it should be", "hosts, all as they should be")
	if o.Differ > 0 {
		sum = fmt.Sprintf("%s, %d not as it should be", Count(len(o.Hosts), "host", "hosts"), o.Differ)
	}
	_, err := fmt.Fprintln(w, "\n"+sum)
	return err
}

// fleetHead is what all hosts share.
func fleetHead(o overview.Overview, now time.Time) [][2]string {
	table := o.Table.Short()
	if o.Size > 0 {
		table += fmt.Sprintf(", %s, by %s, %s ago", Bytes(uint64(o.Size)), logfile.PrintableText(o.By), ago(o.Created, now))
	}
	lines := [][2]string{{"source", o.Source}, {"table", table}, {"previous", o.Previous.Short()}}
	if p := o.Push; p != nil {
		push := fmt.Sprintf("of %s, by %s, for %s", p.Table.Short(), logfile.PrintableText(p.By), ago(p.Began, now))
		if len(p.Hosts) > 0 {
			push += fmt.Sprintf(": stage %s, on %s", p.Stage, some(p.Hosts))
		}
		lines = append(lines, [2]string{"push", push})
	}
	return lines
}

// fleetGrid has a row for each host.
func fleetGrid(o overview.Overview, now time.Time) Grid {
	g := Grid{Columns: []Column{{Head: "HOST"}, {Head: "TABLE"}, {Head: "FOR", Right: true}, {Head: "GEN", Right: true}, {Head: "READY"}, {Head: "CONNS", Right: true}, {Head: "FLOWS", Right: true}, {Head: "VERSION", Flex: 8}}}
	for _, h := range o.Hosts {
		g.Add([]string{
			logfile.PrintableText(h.Host), h.Table.Short(), sinceText(h, now), fmt.Sprint(h.Generation), readyText(h),
			compact(uint64(max(h.Conns, 0))), compact(uint64(max(h.Flows, 0))), logfile.PrintableText(h.Version),
		}, differText(h), hostErrorText(h))
	}
	return g
}

// sinceText is how long the host has served its table.
func sinceText(h overview.Host, now time.Time) string {
	if h.Table == "" || h.Since.IsZero() {
		return "-"
	}
	return ago(h.Since, now)
}

// readyText says whether the host takes new conns.
func readyText(h overview.Host) string {
	switch {
	case h.Draining:
		return "drains"
	case !h.Ready:
		return "no"
	case h.Announcing:
		return "announced"
	}
	return "yes"
}

// differText says what is not as it should be.
func differText(h overview.Host) string {
	var parts []string
	if slices.Contains(h.Differs, overview.Table) {
		parts = append(parts, "it should serve "+h.Wanted.Short())
	}
	if slices.Contains(h.Differs, overview.Unready) {
		parts = append(parts, "it is not ready")
	}
	if slices.Contains(h.Differs, overview.Version) {
		parts = append(parts, "most hosts have another version")
	}
	for _, n := range h.Namesakes {
		parts = append(parts, fmt.Sprintf("%s has this name too, and cannot report", logfile.PrintableText(n.Hostname)))
	}
	if len(parts) == 0 {
		return ""
	}
	return "differs: " + strings.Join(parts, "; ")
}

// hostErrorText is why the host refused a table last. It may be some problems of a file.
func hostErrorText(h overview.Host) string {
	if h.LastError == "" {
		return ""
	}
	return fmt.Sprintf("refused %s: %s", h.ErrorTable.Short(), logfile.PrintableText(strings.Join(strings.Fields(h.LastError), " ")))
}
