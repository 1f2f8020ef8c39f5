// Package announce keeps routes for the served prefixes in a kernel routing table that nothing routes
// by, for a routing daemon such as BIRD or FRR to export. A route stands there while clients of its
// prefix are welcome at this host.
//
//	verdict.go    what can be decided about a prefix, in words
//	unit.go       the host, or a route of the file: how long it must have been ready, how flaps are damped
//	book.go       the units of a file, and the verdict on each prefix
//	plan.go       the changes from one set of routes to the next, and their order
//	routes.go     the routes in the kernel, on a device that ends with the process
//	announcer.go  Announcer joins them
//	permit.go     asks the other hosts of the fleet before a withdrawal
//	status.go     what is announced, and why the rest is not
//	leftover.go   routes that no living process has
//
// All decisions are functions of what the caller has found out and of the time. The package starts no
// goroutine and knows no routing protocol.
package announce
