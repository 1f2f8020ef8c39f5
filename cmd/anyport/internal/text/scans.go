package text

import (
	"fmt"
	"io"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// Scans writes a line with the sums, and the tables of clients, networks and ports.
func Scans(w io.Writer, s *admin.Scans, width int, now time.Time) error {
	lines := scanSums(s)
	for _, g := range []Grid{scannerGrid("CLIENT", s.Clients, now), scannerGrid("NETWORK", s.Networks, now), scannedGrid(s.Ports, now)} {
		if len(g.Rows) > 0 {
			lines = append(append(lines, ""), g.Lines(width)...)
		}
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// scanSums says how many packets there were, and what the tables do not have.
func scanSums(s *admin.Scans) []string {
	lines := []string{fmt.Sprintf("%s to ports that nobody serves, since %s", Count(int(s.Packets), "packet", "packets"), s.Since.Local().Format(time.DateTime))}
	if s.Skipped > 0 {
		lines = append(lines, fmt.Sprintf("%d more came too fast: they are in no table", s.Skipped))
	}
	if !s.Complete {
		lines = append(lines, "there are more than the tables have room for: rare ones are left out")
	}
	return lines
}

// scannerGrid has a row for each client, or network of clients.
func scannerGrid(head string, scanners []admin.Scanner, now time.Time) Grid {
	g := Grid{Columns: []Column{{Head: head}, {Head: "PACKETS", Right: true}, {Head: "PORTS", Right: true}, {Head: "SINCE", Right: true}, {Head: "LAST", Right: true}, {Head: "WHICH", Flex: 8}}}
	for _, s := range scanners {
		g.Rows = append(g.Rows, []string{
			strings.TrimSuffix(s.Prefix, "/32"), compact(s.Packets), about(s.Ports.Count, s.Ports.Exact), ago(s.Since, now), ago(s.Last, now), strings.Join(s.Ports.Listed, " "),
		})
	}
	return g
}

// scannedGrid has a row for each port.
func scannedGrid(ports []admin.ScannedPort, now time.Time) Grid {
	g := Grid{Columns: []Column{{Head: "PORT"}, {Head: "PACKETS", Right: true}, {Head: "CLIENTS", Right: true}, {Head: "SINCE", Right: true}, {Head: "LAST", Right: true}, {Head: "PREFIX"}}}
	for _, p := range ports {
		g.Rows = append(g.Rows, []string{
			fmt.Sprintf("%d/%s", p.Port, p.Protocol), compact(p.Packets), about(p.Clients, p.ClientsExact), ago(p.Since, now), ago(p.Last, now), p.Prefix,
		})
	}
	return g
}

// about marks an estimate.
func about(n int, exact bool) string {
	if exact {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("~%d", n)
}

// scansText is the line of the status.
func scansText(s admin.ScanStatus) string {
	return fmt.Sprintf("%s to ports that nobody serves, from %s of the last day: see anyport scans",
		Count(int(s.Reported+s.Skipped), "packet", "packets"), Count(s.Clients, "client", "clients"))
}
