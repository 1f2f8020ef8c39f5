package config

import (
	"cmp"
	"slices"
)

// A segment is a run of ports with the same winners: nobody, one route, or several
// that tie.
type segment struct {
	PortRange
	winners []*Route // in the order of the file
}

// A portClaim is a range of a route's ports, or a piece of it where except_ports cut it. It is
// as wide as the range was written, not as the piece: except_ports must not make a route win.
type portClaim struct {
	PortRange
	width int
	route *Route
}

// portWinners gives every port of protocol to the routes with the narrowest range there. All
// of routes name the same prefix; a longer prefix wins before ports are compared.
//
// It takes the claims from the narrowest to the widest and visits each port run once, so that
// tens of thousands of routes on one prefix take milliseconds. TestContestAgrees compares it
// with the rule applied port by port.
func portWinners(routes []*Route, protocol Protocol) []segment {
	claims := portClaims(routes, protocol)
	starts := startsOf(routes, protocol)
	if len(starts) == 0 {
		return nil
	}
	won := make([][]*Route, len(starts)-1) // of the ports from one start to the next
	open := newOpenRuns(len(won))
	for len(claims) > 0 {
		equal := equallyWide(claims)
		for _, b := range equal {
			first, _ := slices.BinarySearch(starts, int(b.First))
			for i := open.from(first); i < len(won) && starts[i] <= int(b.Last); i = open.from(i + 1) {
				if last := len(won[i]) - 1; last < 0 || won[i][last] != b.route {
					won[i] = append(won[i], b.route)
				}
			}
		}
		open.close(equal, starts)
		claims = claims[len(equal):]
	}
	return joinSegments(starts, won)
}

// portClaims returns the claims for ports of protocol, the narrowest first, and those of the
// same width in the order of the routes.
func portClaims(routes []*Route, protocol Protocol) (claims []portClaim) {
	for _, r := range routes {
		if !r.Takes(protocol) {
			continue
		}
		for _, ports := range r.Ports {
			for _, piece := range ports.Without(r.Excepted(protocol)) {
				claims = append(claims, portClaim{piece, ports.Width(), r})
			}
		}
	}
	slices.SortStableFunc(claims, func(a, b portClaim) int { return cmp.Compare(a.width, b.width) })
	return claims
}

// startsOf returns every port at which the winners may change, sorted.
func startsOf(routes []*Route, protocol Protocol) (starts []int) {
	for _, r := range routes {
		for _, ports := range slices.Concat(r.Ports, r.Excepted(protocol)) {
			starts = append(starts, int(ports.First), int(ports.Last)+1)
		}
	}
	slices.Sort(starts)
	return slices.Compact(starts)
}

// equallyWide returns the claims at the head that are as wide as the first.
func equallyWide(claims []portClaim) []portClaim {
	n := 1
	for n < len(claims) && claims[n].width == claims[0].width {
		n++
	}
	return claims[:n]
}

// openRuns are the runs of ports that nobody has won yet. It is a disjoint-set forest: an open
// run points to itself, a closed one towards the next open run. A wide claim thus steps over
// all that narrower claims have won, in almost constant time for each step.
type openRuns []int

// newOpenRuns returns n open runs, and one behind them that stays open.
func newOpenRuns(n int) openRuns {
	runs := make(openRuns, n+1)
	for i := range runs {
		runs[i] = i
	}
	return runs
}

// from returns the first open run at or after i, the number of runs where there is none.
func (o openRuns) from(i int) int {
	for o[i] != i {
		o[i] = o[o[i]] // halve the path for the next search
		i = o[i]
	}
	return i
}

// close closes the runs that claims have won.
func (o openRuns) close(claims []portClaim, starts []int) {
	for _, b := range claims {
		first, _ := slices.BinarySearch(starts, int(b.First))
		for i := o.from(first); i < len(o)-1 && starts[i] <= int(b.Last); i = o.from(i) {
			o[i] = i + 1
		}
	}
}

// joinSegments makes segments of the runs, one where neighbours have the same winners.
func joinSegments(starts []int, won [][]*Route) (segments []segment) {
	for i, winners := range won {
		ports := PortRange{uint16(starts[i]), uint16(starts[i+1] - 1)}
		if last := len(segments) - 1; last >= 0 && slices.Equal(segments[last].winners, winners) {
			segments[last].Last = ports.Last
			continue
		}
		segments = append(segments, segment{ports, winners})
	}
	return segments
}
