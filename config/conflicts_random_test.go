package config

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"anyport/config/position"
)

// A small world has few addresses and few ports, so that its routes meet often.
const (
	worldAddresses = 8
	worldPorts     = 12
)

func worldAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}) }

// randomWorld returns routes that conflict now and then; each forwards or refuses.
func randomWorld(random *rand.Rand) (routes []*Route) {
	ports := func() PortRange {
		first := 1 + random.IntN(worldPorts)
		return PortRange{uint16(first), uint16(min(first+random.IntN(5), worldPorts))}
	}
	for i := range 1 + random.IntN(4) {
		r := &Route{Name: fmt.Sprint("r", i), Line: i + 1, Protocols: []Protocol{TCP, UDP}[random.IntN(2):], Action: Forward, Ports: []PortRange{ports()}}
		if random.IntN(2) == 0 {
			r.Ports = append(r.Ports, ports())
		}
		if random.IntN(3) == 0 {
			r.ExceptPorts = append(r.ExceptPorts, ports())
		}
		for range 1 + random.IntN(2) {
			prefix, _ := worldAddr(random.IntN(worldAddresses)).Prefix(29 + random.IntN(4))
			if !slices.Contains(r.Prefixes, prefix) {
				r.Prefixes = append(r.Prefixes, prefix)
			}
		}
		if random.IntN(4) == 0 {
			r.Action = Refuse
			routes = append(routes, r)
			continue
		}
		o := Origin{Text: fmt.Sprint("o", i), Addr: worldAddr(random.IntN(2 * worldAddresses)), Weight: 1}
		if random.IntN(2) == 0 {
			port := uint16(1 + random.IntN(worldPorts))
			o.Ports = PortRange{port, port}
		}
		r.Origins = []Origin{o}
		routes = append(routes, r)
	}
	return routes
}

// conflictsOf are the problems that check finds, by what identifies each.
func conflictsOf(check func(*report)) []string {
	rep := newReport("x", position.NewDocument(""), position.Scan(""))
	check(rep)
	found := []string{}
	for _, p := range rep.problems {
		found = append(found, p.Route+" "+p.Key)
	}
	slices.Sort(found)
	return found
}

// naming are the routes that name prefix itself.
func naming(routes []*Route, prefix netip.Prefix) (all []*Route) {
	for _, r := range routes {
		if slices.Contains(r.Prefixes, prefix) {
			all = append(all, r)
		}
	}
	return all
}

// TestTiesAgree looks for ties port by port on every prefix. A tie is that of the first
// route with another: once for each pair and protocol.
func TestTiesAgree(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	some := 0
	for range 2000 {
		routes := randomWorld(random)
		seen, want := map[tie]bool{}, []string{}
		for _, r := range routes {
			for _, prefix := range r.Prefixes {
				for _, protocol := range []Protocol{TCP, UDP} {
					for port := range worldPorts + 1 {
						won := winners(naming(routes, prefix), protocol, uint16(port))
						for i := 1; i < len(won); i++ {
							if pair := (tie{won[0], won[i], protocol}); !seen[pair] {
								seen[pair] = true
								want = append(want, won[i].Name+" ports")
							}
						}
					}
				}
			}
		}
		slices.Sort(want)
		got := conflictsOf(func(rep *report) { checkTies(rep, ownersOf(routes)) })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("ties (-naive +got):\n%s%s", diff, describe(routes))
		}
		some += len(want)
	}
	if some < 100 {
		t.Errorf("only %d ties in all: the worlds are too large", some)
	}
}

// TestLoopsAgree follows every port of every prefix to its origin, and looks whether a route
// takes it back there.
func TestLoopsAgree(t *testing.T) {
	random := rand.New(rand.NewPCG(13, 14))
	some := 0
	for range 2000 {
		routes := randomWorld(random)
		want := []string{}
		for _, r := range routes {
			for i, o := range r.Origins {
				for _, protocol := range r.Protocols {
					if loopsBack(routes, r, o, protocol) {
						want = append(want, fmt.Sprintf("%s origins[%d]", r.Name, i))
					}
				}
			}
		}
		got := conflictsOf(func(rep *report) { checkLoops(rep, ownersOf(routes), routes) })
		// The index of a second problem at one list is left out: see report.element.
		for i, key := range got {
			if key[len(key)-1] != ']' {
				got[i] = key + "[0]"
			}
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("loops (-naive +got):\n%s%s", diff, describe(routes))
		}
		some += len(want)
	}
	if some < 100 {
		t.Errorf("only %d loops in all: the worlds are too large", some)
	}
}

// loopsBack tries each dst port of each prefix that r names.
func loopsBack(routes []*Route, r *Route, o Origin, protocol Protocol) bool {
	for _, prefix := range r.Prefixes {
		for port := 1; port <= worldPorts; port++ {
			if !slices.Contains(winners(naming(routes, prefix), protocol, uint16(port)), r) {
				continue
			}
			back := winners(naming(routes, netip.PrefixFrom(o.Addr, 32)), protocol, o.Port(uint16(port)))
			if slices.ContainsFunc(back, func(b *Route) bool { return b.Action == Forward }) {
				return true
			}
		}
	}
	return false
}

// TestCoveredAgree: a prefix around an origin is reported for each route that names it, once
// for each address; the origin's own host route is not.
func TestCoveredAgree(t *testing.T) {
	random := rand.New(rand.NewPCG(15, 16))
	some := 0
	for range 2000 {
		routes := randomWorld(random)
		seen, want := map[netip.Addr]bool{}, []string{}
		for _, r := range routes {
			for _, o := range r.Origins {
				if seen[o.Addr] {
					continue
				}
				seen[o.Addr] = true
				for _, other := range routes {
					for _, prefix := range other.Prefixes {
						if prefix.Contains(o.Addr) && prefix.Bits() < 32 {
							want = append(want, other.Name)
						}
					}
				}
			}
		}
		var got []string
		for _, key := range conflictsOf(func(rep *report) { checkCovered(rep, ownersOf(routes), routes) }) {
			got = append(got, key[:2])
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, got, emptyIsNil); diff != "" {
			t.Fatalf("covered origins (-naive +got):\n%s%s", diff, describe(routes))
		}
		some += len(want)
	}
	if some < 100 {
		t.Errorf("only %d in all: the worlds are too large", some)
	}
}

// TestOwners: the routes of each prefix are those that name it, in the order of the file, and
// each group of owners that still has a prefix has one that it owns.
func TestOwners(t *testing.T) {
	random := rand.New(rand.NewPCG(17, 18))
	for range 1000 {
		routes := randomWorld(random)
		owners := ownersOf(routes)
		for i := range worldAddresses {
			for bits := 28; bits <= 32; bits++ {
				prefix, _ := worldAddr(i).Prefix(bits)
				want := naming(routes, prefix)
				if got := owners.at(prefix); !slices.Equal(got, want) || owners.named(prefix) != (len(want) > 0) {
					t.Fatalf("%v: %v, want %v", prefix, names(got), names(want))
				}
			}
		}
		for i, g := range owners.groups[1:] {
			if g.prefix.IsValid() && !slices.Equal(owners.routes(i+1), naming(routes, g.prefix)) {
				t.Fatalf("group %d has %v, which it does not own", i+1, g.prefix)
			}
		}
	}
}
