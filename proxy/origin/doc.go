// Package origin chooses which of a route's origins a new conn or flow goes to, and remembers which
// origins have refused UDP.
//
//	pool.go, balance.go      the origins of a route, and the ways to choose among them
//	origin.go                one origin and its live conns and flows
//	sources.go               live conns of one origin by the source address that they use
//	refuse.go, refusal.go    ICMP errors that flows have met: for which port and how long an origin is left out
//
// It sends nothing and has no clock. It does not check health: an origin is left out only after
// traffic has met an error.
package origin
