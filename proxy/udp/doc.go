// Package udp forwards datagrams between clients and origins: one event loop a listener, which
// introduces package flow, where it is decided what becomes of flows and datagrams, to package
// datagram, where they are read and sent.
//
// The way of a datagram:
//
//	loop.go            one turn of a loop: origins, clients, new flows, orders, ends of flows
//	clients.go         read the listener, and forward what is of live flows
//	newflows.go        what begins a flow waits (arrivalqueue.go) until live flows are served
//	open.go            begin a flow: admission, sockets; end it
//	sockets.go         the sockets of a flow: its own one, shared.go (SPP), egress.go (a raw one);
//	                   owners.go knows whose an fd is
//	origins.go         read origin sockets, and forward replies
//	replies.go         the sockets that answer, one for each dst
//	sendqueue.go       what is to be sent, until the end of the turn
//	originerrors.go    ICMP errors: the flow goes to another origin, with its first datagram
//	                   (firstdatagrams.go)
//	fleet.go           flows that another host may have: seeking.go asks, and holds their datagrams
//
// And beside it: fast.go asks the kernel to forward flows by itself, fastcount.go counts what it has
// forwarded and has flows leave it. serve.go starts the loops, limits.go divides what they may hold, list.go lists live
// flows, handover.go and arrivals.go move flows to another process.
//
// A loop never waits for one flow: what a socket does not take is dropped and counted. All that a
// loop has belongs to its goroutine; others ask for it by orders.
package udp
