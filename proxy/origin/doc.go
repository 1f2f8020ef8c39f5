// Package origin chooses which of a route's origins a new conn or flow goes to, and remembers what is
// known of their health.
//
//	pool.go                  the origins of a route
//	pick.go                  which of them may be picked
//	balance.go               the ways to choose among those
//	origin.go                one origin and its live conns and flows
//	members.go               the origins of a route, with the addresses of DNS names
//	explain.go               which of them may be picked now, in words
//	queue.go                 conns that wait while all of them have max_conns
//	ways.go                  IPv4 and IPv6 as two ways to one origin
//	standing.go              what is known of its health; the decisions are in proxy/health
//	dialled.go               dials of conns that failed or succeeded
//	failures.go              the last error that conns and flows have met, and since when
//	errorclass.go            the words for these errors
//	allfail.go, alarm.go     a warning once all origins of a route fail
//	sources.go               live conns of one origin by the source address that they use
//	refuse.go                ICMP errors that flows have met
//	refusal.go               both by port, bounded
//
// It sends nothing and has no clock.
package origin
