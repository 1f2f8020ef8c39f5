package doctor

import (
	"fmt"
	"strings"

	"anyport/steering/host"
	"anyport/steering/table"
)

// checkListeners finds the sockets of other processes that would get nothing more.
func checkListeners(f *Facts) []Finding {
	if f.Config == nil {
		return ok("no file, no ports to take")
	}
	found, why := fail, "anyport refuses to take the port of another process, unless [steering] has shadow_listeners = true"
	if f.Config.Steering.ShadowListeners {
		found, why = warn, "nobody reaches it any more, as steering.shadow_listeners allows"
	}
	findings := each(f.Listeners, func(s host.Shadow) []Finding {
		return found(fmt.Sprintf("# add to %s:\n%s", f.Path, keep(s)), why,
			"%s listens on %v %s, which %s takes", s.Owner(), s.Protocol, s.Addr, taker(s.By))
	})
	return orOK(findings, "no route takes the port of a listener or of an unconnected UDP socket")
}

// keep is the route that leaves a listener its port.
func keep(s host.Shadow) string {
	var prefixes []string
	for _, addr := range s.Taken {
		prefixes = append(prefixes, fmt.Sprintf("%q", addr))
	}
	port := s.Addr.Port()
	return fmt.Sprintf("[route.keep-%v-%d]\nprotocol = %q\nprefixes = [%s]\nports = [%d]\naction = \"pass\"",
		s.Protocol, port, s.Protocol, strings.Join(prefixes, ", "), port)
}

// taker names the route that takes the port, or the default for ports without a route.
func taker(d table.Decision) string {
	if d.Route == nil {
		return fmt.Sprintf("unmatched = %q", d.Verdict)
	}
	return fmt.Sprintf("route %q", d.Route.Name)
}
