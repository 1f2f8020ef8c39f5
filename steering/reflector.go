package steering

import (
	"fmt"
	"slices"

	"anyport/config"
)

// splitReflectors cuts the reflectors of r out of its spans, and gives them to another
// binding. They stay as wide as they were written: r wins them, to refuse them.
func splitReflectors(r *config.Route, all []span, refusing uint32) (split []span, found bool) {
	for _, s := range all {
		var closed []config.PortRange
		for _, port := range r.RefusedReflectors(s.width) {
			if s.Contains(port) {
				one := config.PortRange{First: port, Last: port}
				closed, split = append(closed, one), append(split, span{one, s.width, refusing})
			}
		}
		for _, piece := range s.PortRange.Without(closed) {
			split = append(split, span{piece, s.width, s.binding})
		}
		found = found || len(closed) > 0
	}
	return split, found
}

// reflector says why a route refuses a port that it has won.
func reflector(d Decision, protocol config.Protocol, port uint16) []string {
	if protocol != config.UDP || d.Route.Action != config.Forward || !slices.Contains(d.Route.RefusedReflectors(d.Ports.Width()), port) {
		return nil
	}
	return []string{fmt.Sprintf("udp port %d is %s, through which others can be attacked: route %q takes it if its ports name it, alone or in a range of at most %d, or with reflectors = true",
		port, config.Reflector(port), d.Route.Name, config.WidestMeant)}
}
