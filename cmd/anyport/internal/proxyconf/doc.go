// Package proxyconf is what the configuration of another proxy says, in one form for HAProxy, nginx
// and go-mmproxy. Their readers (packages haproxy, nginx and gommproxy) make a [Reading]; this package
// turns it into a draft of anyport's own, and a report.
//
//	reading.go    a reading: services, and what became of each line
//	forwarding.go where a service forwards to: origins and the other keys of a route
//	served.go     which prefixes an address to listen on stands for
//	split.go      several choices by dst, first match, as routes of the longest match
//	access.go     allow and deny rules, first match, as prefixes of the longest match
//	routes.go     the routes of a service
//	write.go      routes as a draft
//	transparent.go what a route that dials from the client's address can have
//	report.go     the table of lines: what each became, or why it was left
//
// No line is lost: whatever a reader does not mark is reported as left.
package proxyconf
