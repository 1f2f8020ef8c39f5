// Package host has the facts of this network namespace that the steering depends on, and
// changes those that belong to anyport: the local routes, `ip route add local PREFIX dev lo`,
// which have the kernel deliver packets for a prefix to this host, and the way back for routes with
// transparent.
//
// It needs CAP_NET_ADMIN for the routes and no BPF. All functions look at the network namespace
// of the calling thread, or of the thread that opened the type they belong to.
//
//	network.go              addresses, subnets and gateways of the host
//	listeners.go            sockets of other processes, by sock_diag(7)
//	processes.go            who has a socket open, from /proc
//	half_open.go            TCP conns whose handshake is not complete
//	check.go                prefixes that would cut the host off; Check has all findings
//	shadowed_listeners.go   listeners of others that a table would take packets from
//	local_routes.go         LocalRoutes: list, add, remove
//	route_plan.go           the changes from one table's routes to the next's, and their order
//	tun.go                  a device that ends with the process, and its routes with it
//	route_device.go         the same for the routes of other packages
//	monitor.go              the kernel's messages about changes of routes, links and rules
//	keeper.go               Keeper: restores routes that other programs remove
//	baseline.go             what was there before it was lost; missing_routes.go names it
//	restore_backoff.go      how often a route is restored when another program insists
//	return_path.go          what origins send to clients comes back here: rules and a table
//	return_filter.go        and the filters on the interfaces that mark it
//	netlink.go              repeats interrupted dumps
package host
