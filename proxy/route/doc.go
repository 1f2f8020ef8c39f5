// Package route holds routes in service: a route of the file joined with its origins, its limits
// and its counters. The event loops of TCP and UDP share it.
//
// A loop asks [Live.Set] for the generation in service and [Set.Lookup] for the route of a dst,
// [Route.Admit] whether a client may begin a conn or flow, and counts in its own shard of
// [Stats]. What became of the conn or flow is a [Verdict], and its end a [Record] for the access log.
// A reload puts a new Set into service, on trial first (set.go): conns and flows keep the Route that
// they began with, while counters and origins go on under the route's name.
//
//	route.go, set.go, retired.go   a route, a generation of routes, a route that is no longer in service
//	verdict.go, record.go          what became of a conn, flow or datagram, and its line in the access log
//	stats.go, counters.go          what is counted of a route, by event loop; histogram.go
//	places.go                      limits of live conns by route and client
//	clientrates.go                 new conns and flows of each client, in a table of fixed size
//	bandwidth.go                   route_bandwidth, which the conns of all loops share
//	list.go, registry.go           live conns for `anyport flows`
//	drain.go, mirror.go            routes that take nothing new, ports that an origin has refused
//
// Which route takes a dst is decided elsewhere: by a [Table], which is the kernel's table too.
package route
