package steering

import (
	"fmt"

	"anyport/config"
)

// reflectorNote tells of a port that a route steers though its ports do not name it, and
// through which others can be attacked.
func reflectorNote(d Decision, protocol config.Protocol, port uint16) []string {
	if protocol != config.UDP || d.Verdict != Steer {
		return nil
	}
	service := d.Route.WideReflector(port)
	if service == "" {
		return nil
	}
	return []string{fmt.Sprintf(`udp port %d is %s, through which others can be attacked: except_ports = ["reflectors"] of route %q leaves it out`,
		port, service, d.Route.Name)}
}
