package text

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// Shadow writes what a rehearsal has counted: the routes, then the differences.
func Shadow(w io.Writer, s *admin.Status) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "anyport\t%s, pid %d, REHEARSES for %v: it steers nothing\n", s.Version, s.PID, time.Duration(s.UptimeSeconds)*time.Second)
	fmt.Fprintf(out, "config\t%s\n", configText(s.Config))
	fmt.Fprintf(out, "counted\t%s, of which %d wait for an answer or may go on; %s not examined\n\n",
		Count(int(s.Shadow.Seen), "conn or flow", "conns and flows"), s.Shadow.Waiting, Count(int(s.Shadow.NotExamined), "packet", "packets"))
	var rows, differences []string
	for _, r := range s.Shadow.Routes {
		rows = append(rows, shadowRow(r))
		for _, d := range r.Differences {
			differences = append(differences, fmt.Sprintf("%s\t%d\t%s\t%s", routeName(r), d.Count, d.Meaning, shadowPlaces(d)))
		}
	}
	printRows(out, "ROUTE\tSEEN\tSTEER\tREFUSE\tDROP\tPASS\tDENY\tDIFFERENT\tTODAY: PROXY\tLISTENER\tSOCKET\tFORWARDED\tREFUSED\tSILENT", rows)
	fmt.Fprintln(out)
	if len(differences) == 0 {
		out.Flush()
		fmt.Fprintln(out, "no differences so far")
		return out.Flush()
	}
	printRows(out, "ROUTE\tCOUNT\tDIFFERENCE\tMOST OFTEN", differences)
	return out.Flush()
}

// shadowRow is one route: what anyport would do, and what happens today.
func shadowRow(r admin.ShadowRoute) string {
	var different uint64
	for _, d := range r.Differences {
		different += d.Count
	}
	cells := []string{routeName(r), fmt.Sprint(r.Seen)}
	for _, verdict := range []string{"steer", "refuse", "drop", "pass", "deny"} {
		cells = append(cells, fmt.Sprint(r.Would[verdict]))
	}
	cells = append(cells, fmt.Sprint(different))
	for _, today := range []string{"proxy", "listener", "socket", "forwarded", "refused", "silent"} {
		cells = append(cells, fmt.Sprint(r.Today[today]))
	}
	return strings.Join(cells, "\t")
}

func routeName(r admin.ShadowRoute) string { return cmp.Or(r.Name, "(no route)") }

// shadowPlaces names where the difference occurs most.
func shadowPlaces(d admin.ShadowDifference) string {
	var all []string
	for _, p := range d.Top {
		all = append(all, fmt.Sprintf("%s %s port %d (%d)", p.Protocol, p.Prefix, p.Port, p.Count))
	}
	return strings.Join(all, ", ")
}

// printRows ends the block of columns before it, so that each aligns on its own.
func printRows(out *tabwriter.Writer, head string, rows []string) {
	out.Flush()
	fmt.Fprintln(out, head)
	for _, row := range rows {
		fmt.Fprintln(out, row)
	}
}
