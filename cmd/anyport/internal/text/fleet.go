package text

import (
	"fmt"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// fleetLines say what a host has of the table of its source, and what keeps it from the one that it ought to have.
func fleetLines(f *admin.FleetStatus) (lines [][2]string) {
	if f == nil {
		return nil
	}
	lines = append(lines, [2]string{"fleet", fmt.Sprintf("%s of %s, %s", f.Host, f.Source, tableText(f))})
	switch {
	case !f.Up && f.ContactSeconds != nil:
		lines = append(lines, [2]string{"SOURCE", fmt.Sprintf("away for %v, the table serves on: %s", rounded(*f.ContactSeconds), f.Problem)})
	case f.Problem != "":
		lines = append(lines, [2]string{"SOURCE", f.Problem})
	case !f.Up:
		lines = append(lines, [2]string{"SOURCE", "it has not answered yet"})
	}
	if f.Refused != "" {
		lines = append(lines, [2]string{"REFUSED", fmt.Sprintf("table %s: %s", shortHash(f.Refused), oneLine(f.RefusedWhy))})
	}
	if f.ReportProblem != "" {
		lines = append(lines, [2]string{"REPORTS", f.ReportProblem})
	}
	if f.DiskProblem != "" {
		lines = append(lines, [2]string{"table file", f.DiskProblem})
	}
	return lines
}

// tableText is the table in service, and whether it is the one that the source names.
func tableText(f *admin.FleetStatus) string {
	switch {
	case f.Table == "" && f.Wanted == "" && f.Up:
		return "no table yet: nothing was pushed, and nothing is served"
	case f.Table == "":
		return "no table yet: nothing is served"
	case f.Wanted != "" && f.Wanted != f.Table:
		return fmt.Sprintf("table %s, and the source names %s", shortHash(f.Table), shortHash(f.Wanted))
	case f.Trial:
		return fmt.Sprintf("table %s, on trial", shortHash(f.Table))
	}
	return "table " + shortHash(f.Table)
}

// shortHash is enough for people to tell tables apart.
func shortHash(hash string) string { return hash[:min(len(hash), 12)] }

// rounded is a time for people.
func rounded(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second)).Round(time.Second)
}
