package config

import (
	"fmt"
	"slices"
	"testing"
)

// TestNoConflict holds files that come close to a tie or a loop and have none.
func TestNoConflict(t *testing.T) {
	route := func(name, protocol, prefix, ports, rest string) string {
		return fmt.Sprintf("[route.%s]\nprotocol = %s\nprefixes = [%q]\nports = %s\n%s\n", name, protocol, prefix, ports, rest)
	}
	const (
		tcp, udp = `"tcp"`, `"udp"`
		all      = `"all"`
		forward  = `origins = ["10.0.0.9"]`
		pass     = `action = "pass"`
	)
	tests := map[string]string{
		"a narrower range wins": route("a", tcp, "192.0.2.1", all, forward) +
			route("b", tcp, "192.0.2.1", "22", forward),
		"another protocol": route("a", tcp, "192.0.2.1", all, forward) +
			route("b", udp, "192.0.2.1", all, forward),
		"another prefix length": route("a", tcp, "192.0.2.0/24", all, forward) +
			route("b", tcp, "192.0.2.0/25", all, forward),
		"disjoint ranges": route("a", tcp, "192.0.2.1", `"1-100"`, forward) +
			route("b", tcp, "192.0.2.1", `"101-200"`, forward),
		"the shared ports are excepted": route("a", tcp, "192.0.2.1", `"1-100"`, forward+"\nexcept_ports = \"51-100\"") +
			route("b", tcp, "192.0.2.1", `"51-150"`, forward),
		"a third route is narrower wherever two would tie": route("a", tcp, "192.0.2.1", `"1-100"`, forward) +
			route("b", tcp, "192.0.2.1", `"100-199"`, forward) +
			route("c", tcp, "192.0.2.1", "100", forward),
		"the origin's port passes": route("a", tcp, "10.0.0.5", all, `origins = ["10.0.0.5:8080"]`) +
			route("keep", tcp, "10.0.0.5", "8080", pass),
		"the origin's port is another": route("a", tcp, "10.0.0.5", "[7, 77, 777]", `origins = ["10.0.0.5:8080"]`),
		"the origin's port is of another protocol": route("a", tcp, "192.0.2.1", "53", `origins = ["10.0.0.5"]`) +
			route("b", udp, "10.0.0.5", "53", forward),
		"the looping port never gets to the origin": route("a", tcp, "192.0.2.1", all, `origins = ["10.0.0.5"]`) +
			route("b", tcp, "192.0.2.1", "22", pass) +
			route("c", tcp, "10.0.0.5", "22", forward),
		"what takes the origin's port refuses it": route("a", tcp, "192.0.2.1", all, `origins = ["10.0.0.5"]`) +
			route("b", tcp, "10.0.0.5", all, `action = "refuse"`),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) { parse(t, text) })
	}
}

// TestContest compares the winners of every port with what the rule says port by
// port.
func TestContest(t *testing.T) {
	// Their ranges have one of three widths: 1, 1023, 65535.
	routes := []*Route{
		{Name: "all", Protocols: []Protocol{TCP, UDP}, Ports: []PortRange{{1, 65535}}, ExceptPorts: []PortRange{{22, 22}, {60000, 65535}}, ExceptReflectors: true},
		{Name: "low", Protocols: []Protocol{TCP}, Ports: []PortRange{{1, 1023}, {80, 80}}},
		{Name: "web", Protocols: []Protocol{TCP}, Ports: []PortRange{{80, 80}, {443, 443}}},
		{Name: "high", Protocols: []Protocol{UDP}, Ports: []PortRange{{64513, 65535}, {1, 1023}}, ExceptPorts: []PortRange{{65535, 65535}}},
	}
	for _, protocol := range []Protocol{TCP, UDP} {
		segments := portWinners(routes, protocol)
		for port := 1; port <= 65535; port++ {
			var got []*Route
			for _, s := range segments {
				if s.Contains(uint16(port)) {
					got = append(got, s.winners...)
				}
			}
			if want := naiveWinners(routes, protocol, uint16(port)); !slices.Equal(got, want) {
				t.Fatalf("%v port %d: %v, want %v", protocol, port, names(got), names(want))
			}
		}
	}
}

// naiveWinners tries each width from the narrowest up, until some route takes port
// by a range of it.
func naiveWinners(routes []*Route, protocol Protocol, port uint16) []*Route {
	for _, width := range []int{1, 1023, 65535} {
		var all []*Route
		for _, r := range routes {
			if r.Takes(protocol) && takesBy(r, protocol, port, width) {
				all = append(all, r)
			}
		}
		if all != nil {
			return all
		}
	}
	return nil
}

func takesBy(r *Route, protocol Protocol, port uint16, width int) bool {
	takes := false
	for _, ports := range r.Ports {
		takes = takes || ports.Contains(port) && ports.Width() == width
	}
	for _, except := range r.ExceptPorts {
		takes = takes && !except.Contains(port)
	}
	if r.ExceptReflectors && protocol == UDP && Reflector(port) != "" {
		return false
	}
	return takes
}

func names(routes []*Route) []string {
	var all []string
	for _, r := range routes {
		all = append(all, r.Name)
	}
	return all
}
