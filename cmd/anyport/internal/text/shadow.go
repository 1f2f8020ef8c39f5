package text

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// Shadow writes what a rehearsal has counted: the routes, then the differences.
func Shadow(w io.Writer, s *admin.Status) error {
	var out bytes.Buffer
	writeLabelled(&out, [][2]string{
		{"anyport", fmt.Sprintf("%s, pid %d, REHEARSES for %v: it steers nothing", s.Version, s.PID, time.Duration(s.UptimeSeconds)*time.Second)},
		{"config", configText(s.Config)},
		{"counted", fmt.Sprintf("%s, of which %d wait for an answer or may go on; %s not examined",
			Count(int(s.Shadow.Seen), "conn or flow", "conns and flows"), s.Shadow.Waiting, Count(int(s.Shadow.NotExamined), "packet", "packets"))},
	})
	heads := []string{"ROUTE", "SEEN", "STEER", "REFUSE", "DROP", "PASS", "DENY", "DIFFERENT", "TODAY: PROXY", "LISTENER", "SOCKET", "FORWARDED", "REFUSED", "SILENT"}
	routes, differences := newGrid(heads, heads...), newGrid([]string{"ROUTE", "COUNT", "DIFFERENCE", "MOST OFTEN"}, "ROUTE", "COUNT", "DIFFERENCE", "MOST OFTEN")
	for _, r := range s.Shadow.Routes {
		routes.Add(shadowRow(r))
		for _, d := range r.Differences {
			differences.Add([]string{routeName(r), fmt.Sprint(d.Count), d.Meaning, shadowPlaces(d)})
		}
	}
	lines := slices.Concat([]string{""}, routes.Lines(0), []string{""})
	if len(differences.Rows) == 0 {
		lines = append(lines, "no differences so far")
	} else {
		lines = append(lines, differences.Lines(0)...)
	}
	out.WriteString(strings.Join(lines, "\n") + "\n")
	_, err := out.WriteTo(w)
	return err
}

// shadowRow is one route: what anyport would do, and what happens today.
func shadowRow(r admin.ShadowRoute) []string {
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
	return cells
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
