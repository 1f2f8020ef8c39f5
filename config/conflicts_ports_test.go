package config

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"
)

// winners is the naive contest for one port: it asks every range of every route.
func winners(routes []*Route, protocol Protocol, port uint16) []*Route {
	var best []*Route
	least := 0
	for _, r := range routes {
		width := naiveWidth(r, protocol, port)
		if width == 0 || !r.Takes(protocol) || least != 0 && width > least {
			continue
		}
		if width != least {
			best, least = nil, width
		}
		best = append(best, r)
	}
	return best
}

// naiveWidth is the width of the narrowest range by which r takes port, or 0 if it
// does not take it.
func naiveWidth(r *Route, protocol Protocol, port uint16) int {
	if r.ExceptReflectors && protocol == UDP && Reflector(port) != "" {
		return 0
	}
	for _, except := range r.ExceptPorts {
		if except.Contains(port) {
			return 0
		}
	}
	width := 0
	for _, ports := range r.Ports {
		if ports.Contains(port) && (width == 0 || ports.Width() < width) {
			width = ports.Width()
		}
	}
	return width
}

// TestContestAgrees holds contests of random routes against the naive one, on every port.
func TestContestAgrees(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		routes := randomRoutes(random)
		for _, protocol := range []Protocol{TCP, UDP} {
			segments := portWinners(routes, protocol)
			next := 0 // the port that the next segment begins at; those outside of all have no winner
			for _, s := range segments {
				if next > 0 && int(s.First) != next {
					t.Fatalf("a segment begins at port %d, want %d", s.First, next)
				}
				next = int(s.Last) + 1
			}
			for port := range 100 {
				if got, want := wonAt(segments, uint16(port)), winners(routes, protocol, uint16(port)); !slices.Equal(got, want) {
					t.Fatalf("%v port %d: %v wins, want %v of %s", protocol, port, names(got), names(want), describe(routes))
				}
			}
		}
	}
}

func wonAt(segments []segment, port uint16) []*Route {
	for _, s := range segments {
		if s.Contains(port) {
			return s.winners
		}
	}
	return nil
}

// randomRoutes returns a few routes on ports under 64, with many ties among them.
func randomRoutes(random *rand.Rand) (routes []*Route) {
	ranges := func(most int) (all []PortRange) {
		for range random.IntN(most + 1) {
			first := 1 + random.IntN(60)
			all = append(all, PortRange{uint16(first), uint16(min(first+random.IntN(8), 63))})
		}
		return all
	}
	for i := range 1 + random.IntN(8) {
		r := &Route{Name: fmt.Sprint("r", i), Protocols: []Protocol{TCP, UDP}[random.IntN(2):], Ports: ranges(3), ExceptPorts: ranges(2), ExceptReflectors: random.IntN(3) == 0}
		if random.IntN(4) == 0 {
			r.Ports = append(r.Ports, PortRange{1, 63})
		}
		routes = append(routes, r)
	}
	return routes
}

func describe(routes []*Route) (text string) {
	for _, r := range routes {
		text += fmt.Sprintf("\n%s %v ports %v except %v, reflectors %t", r.Name, r.Protocols, r.Ports, r.ExceptPorts, r.ExceptReflectors)
	}
	return text
}

// TestManyRoutesOnOnePrefix: one route a port is what such a proxy is for. Memory is
// measured, for it is what grew by the square of the routes.
func TestManyRoutesOnOnePrefix(t *testing.T) {
	const n = 60_000
	prefixes := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	routes := make([]*Route, n)
	for i := range routes {
		port := uint16(i + 1)
		routes[i] = &Route{Protocols: []Protocol{TCP, UDP}, Prefixes: prefixes, Ports: []PortRange{{port, port}}}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	checkConflicts(&report{}, routes)
	runtime.ReadMemStats(&after)
	if allocated, most := after.TotalAlloc-before.TotalAlloc, uint64(200<<20); allocated > most {
		t.Errorf("%d routes take %d MiB to compare, want %d at most", n, allocated>>20, most>>20)
	}
}
