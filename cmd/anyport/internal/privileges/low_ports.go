package privileges

import (
	"os"
	"strconv"
	"strings"

	"anyport/config"
)

// UsualPortStart is the first port that everybody may bind, where the host does not say another one.
const UsualPortStart = 1024

// PortStart is the first port that everybody may bind, net.ipv4.ip_unprivileged_port_start.
func PortStart() int {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if err != nil {
		return UsualPortStart
	}
	first, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return UsualPortStart
	}
	return first
}

// LowReply returns a port below first that UDP replies leave from, if the file has one.
func LowReply(c *config.Config, first int) (port uint16, low bool) {
	for _, r := range c.Routes {
		for _, ports := range r.Ports {
			if r.Forwards() && r.Takes(config.UDP) && int(ports.First) < first {
				return ports.First, true
			}
		}
	}
	return 0, false
}
