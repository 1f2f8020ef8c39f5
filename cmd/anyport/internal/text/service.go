package text

import (
	"fmt"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/admin"
	steered "anyport/steering/table"
)

// serviceTable has a row for each socket of a service of this host. What is not reached is in capitals.
func serviceTable(s *admin.Status) Grid {
	t := statusGrid("SERVICE", "ROUTE", "PROTOCOL", "LISTENER", "LOOKUPS")
	for _, r := range s.Routes {
		for _, l := range r.LocalSockets {
			listener := l.Listener
			if !l.Up {
				listener = "AWAY"
			}
			lookups := compact(r.Verdicts[string(steered.Socket)])
			t.Add([]string{l.Service, r.Name, l.Protocol, listener, lookups}, holderText(l), l.Problem)
		}
	}
	return t
}

// holderText is who has a socket, and since when it is or is not there.
func holderText(l admin.LocalSocket) string {
	var parts []string
	switch {
	case l.Process != "":
		parts = append(parts, fmt.Sprintf("%s (pid %d)", l.Process, l.PID))
	case l.PID != 0: // it has ended, and others still have the socket
		parts = append(parts, fmt.Sprintf("pid %d", l.PID))
	}
	if l.Since != nil {
		parts = append(parts, "since "+l.Since.Format(time.DateTime))
	}
	return strings.Join(parts, ", ")
}
