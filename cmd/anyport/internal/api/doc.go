// Package api is the server side of the admin API: what answers on the admin socket and on
// admin.http. The types of its answers, and the client, are package admin.
//
// It asks a [Service], which is the running anyport of package daemon, so that the rights
// of each user, the HTTP and its limits can be tested without steering or proxy.
//
//	api.go             the Service, and the two servers
//	verbs.go           the table of what can be asked on the admin socket, and by which user
//	handlers.go        from a request to the Service and back
//	flows.go           the list of conns and flows, written as it is read
//	probes.go          /livez and /readyz
//	web.go             admin.http: dashboard, metrics, and all verbs but upgrade; the OpenAPI file
//	web_orders.go      refuses orders over HTTP that the file does not allow or a page has sent
//	events.go          the stream of events to open pages; snapshot.go: what is in an event
//	metrics.go         the status in the names of Prometheus; gather.go: the samples of a scrape
//	host_check.go      refuses pages of other servers (DNS rebinding)
//	server.go          an HTTP server with time limits, which answers what it has read before it ends
//	conn_limit.go      bounds the conns of a server; the greediest client loses one
//	pending.go         requests that have no answer yet
//	peer.go            the user at the other end of the admin socket
//	received_files.go  file descriptors that come along with a request of root's
package api
