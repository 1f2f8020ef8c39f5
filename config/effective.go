package config

import (
	"fmt"
	"strings"
)

// Effective is the file that c stands for with every key in it: read again, it gives the same. Values
// that are the default are marked, whether the file has them or not. Instead of [defaults] and
// [health.NAME], each route has what it inherits and the check that it names.
func (c *Config) Effective() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# All that anyport reads in %s, with the defaults and what routes inherit.\n", printable(c.Path))
	writeEffective(&b, "[listen]", listenSection, &c.Listen)
	writeEffective(&b, "[steering]", steeringSection, &c.Steering)
	writeEffective(&b, "[admin]", adminSection, &c.Admin)
	writeEffective(&b, "[log]", logSection, &c.Log)
	writeEffective(&b, "[fleet]", fleetSection, &c.Fleet)
	writeEffective(&b, "[knock]", knockSection, &c.Knock)
	writeEffective(&b, "[announce]", announceSection, &c.Announce)
	for _, r := range c.Routes {
		writeEffective(&b, "[route."+r.Name+"]", routeSection, r)
		if r.Health != nil {
			writeEffective(&b, "[route."+r.Name+".health]", healthSection, r.Health)
		}
	}
	return b.String()
}

// writeEffective writes one table. A key that is a table of its own (health) is not written.
func writeEffective[S any](b *strings.Builder, header string, s section[S], from *S) {
	fmt.Fprintf(b, "\n%s\n", header)
	for _, k := range s.keys {
		if k.shownValue() == "" {
			continue
		}
		value, mark := k.print(from), ""
		if k.fallback != "" && value == k.print(&s.defaults) {
			mark = "  # default"
		}
		fmt.Fprintf(b, "%s = %s%s\n", k.name, value, mark)
	}
}
