package text

import (
	"fmt"

	"anyport/cmd/anyport/internal/admin"
)

// hoursText says whether a route is in force, until when, and how many came at other times. The times are in the
// zone of the reader.
func hoursText(r admin.RouteStatus) string {
	text := "not in force"
	if r.Hours.Active {
		text = "in force"
	}
	if next := r.Hours.NextChange; next != nil {
		text += " until " + next.Local().Format("Mon 2006-01-02 15:04 MST")
	} else {
		text += " from now on"
	}
	if r.Inactive > 0 {
		text += fmt.Sprintf("; %s came at other times", Count(int(r.Inactive), "packet", "packets"))
	}
	return fmt.Sprintf("route %s: %s", r.Name, text)
}
