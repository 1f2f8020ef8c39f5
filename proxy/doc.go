// Package proxy carries the traffic of the routes: a [Server] runs the event loops of TCP conns
// ([anyport/proxy/tcp]) and UDP flows ([anyport/proxy/udp]) over one set of routes in service
// ([anyport/proxy/route]).
//
//	server.go                 Server: puts routes into service, lists and ends what is live
//	serve.go                  starts the loops, and waits for their end; files.go: the files that they may open
//	handover.go, move.go      sockets, flows and conns go to another process and come from one
//	origins.go                their checks, and what operators order
//	status.go, status_*.go    what `anyport status` shows of routes and origins
//
// It knows nothing of the kernel's steering: it is given sockets, and a table that says which route
// takes a dst.
package proxy
