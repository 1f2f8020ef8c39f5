package text

import (
	"fmt"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/steering/table"
)

// serviceRows has a row for each socket of a service of this host. What is not reached is in capitals.
func serviceRows(s *admin.Status) (rows []string) {
	for _, r := range s.Routes {
		for _, l := range r.LocalSockets {
			listener, process, since := l.Listener, "-", "-"
			if !l.Up {
				listener = "AWAY"
			}
			switch {
			case l.Process != "":
				process = fmt.Sprintf("%s (pid %d)", l.Process, l.PID)
			case l.PID != 0: // it has ended, and others still have the socket
				process = fmt.Sprintf("pid %d", l.PID)
			}
			if l.Since != nil {
				since = l.Since.Format(time.DateTime)
			}
			row := fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%d", l.Service, r.Name, l.Protocol, listener, process, since, r.Verdicts[string(table.Socket)])
			if l.Problem != "" {
				row += "\t" + l.Problem
			}
			rows = append(rows, row)
		}
	}
	return rows
}
