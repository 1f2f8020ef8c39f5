package integration

import (
	"fmt"
	"testing"
)

// combinedKnocks are the sequences of the two routes.
var combinedKnocks = map[string][]int{"tcp": {7000, 1234, 9000}, "udp": {7001, 1235, 9001}}

// door has the keys of who is let in after a knock.
func (c *combination) door(route string) string {
	switch c.choice["knock"] {
	case "ports":
		p := combinedKnocks[route]
		return fmt.Sprintf("knock = [%d, %d, %d]\nexcept_ports = [%[1]d, %d, %d]\nknock_window = \"1h\"\n", p[0], p[1], p[2])
	case "spa":
		return "knock = [\"spa\"]\nknock_window = \"1h\"\n"
	}
	return ""
}

// knock opens the doors of both routes to the client, if they have one.
func (c *combination) knock(t *testing.T) {
	t.Helper()
	if c.is("knock", "none") {
		return
	}
	eventually(t, "the knocks open both doors", func() bool {
		for _, route := range []string{"tcp", "udp"} { // the ports of the second are on the first, whose denied may be drop
			if c.is("knock", "spa") {
				c.rig.client.output(t, program, "knock", c.comes, "--route", route, "--key", c.keys)
				continue
			}
			for _, p := range combinedKnocks[route] {
				if conn, err := c.rig.client.tryDial("tcp", "", port(c.comes, p)); err == nil {
					conn.Close()
				}
			}
		}
		return len(c.proxy.doors(t)) == 2
	})
	c.knocked = true
}
