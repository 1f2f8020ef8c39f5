package text

import (
	"fmt"
	"strings"

	"anyport/cmd/anyport/internal/admin"
	"anyport/proxy/route"
)

// heldBackText says how much a route did not answer, and which key decides.
func heldBackText(r admin.RouteStatus) string {
	n := r.Datagrams[route.ToClient.String()][route.Amplified.String()]
	return fmt.Sprintf("route %s: %s, %s, to clients that had not shown that they are there: see amplification_budget",
		r.Name, Count(int(n), "datagram", "datagrams"), Bytes(r.HeldBack))
}

// routeTable has a row for each route, in the order of the file. REFUSED, DENIED and LIMITED join what
// the kernel and the proxy have counted.
func routeTable(s *admin.Status) Grid {
	t := statusGrid("ROUTE", "ACTIVE", "TOTAL", "REFUSED", "DENIED", "LIMITED", "TO ORIGIN", "TO CLIENT")
	for _, r := range s.Routes {
		t.Add([]string{
			routeText(r), fmt.Sprint(r.ConnsActive), compact(r.ConnsTotal), compact(r.Refused), compact(r.Denied), compact(r.Limited),
			Bytes(r.BytesToOrigin), Bytes(r.BytesToClient),
		}, fmt.Sprintf("%s  %s  %s", strings.Join(r.Protocol, ","), some(r.Prefixes), ports(r)))
	}
	return t
}

// routeText is the name of a route, whether it drains, whether all its origins fail, and how many conns
// wait in its queue.
func routeText(r admin.RouteStatus) string {
	var notes []string
	if r.Draining {
		notes = append(notes, "draining")
	}
	if r.UnreachableSince != nil {
		notes = append(notes, "UNREACHABLE")
	}
	if r.QueueWaiting != nil && *r.QueueWaiting > 0 {
		notes = append(notes, fmt.Sprintf("%d waiting", *r.QueueWaiting))
	}
	if len(notes) == 0 {
		return r.Name
	}
	return r.Name + " (" + strings.Join(notes, ", ") + ")"
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
