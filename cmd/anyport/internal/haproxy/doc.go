// Package haproxy reads the configuration of HAProxy, as far as it is plain TCP, into the form of
// package proxyconf. What has no equal is left, with the reason.
//
//	words.go     a line → its words: quotes, escapes, environment variables
//	file.go      a file → sections of directives
//	section.go   a section with what it inherits of its defaults
//	read.go      listen and frontend sections → services
//	refuse.go    sections that are not read, and why
//	bind.go      addresses that a section listens on
//	forward.go   a backend → origins and the other keys of a route
//	server.go    server lines → origins
//	params.go    words of bind and server lines, and how many values each has
//	server_params.go what becomes of the parameters of servers
//	queue.go     maxqueue and timeout queue
//	check.go     checks of servers; check_script.go for tcp-check lines
//	settings.go  balance, source, limits and timeouts
//	acl.go       what acl lines and braces ask of a conn
//	condition.go conditions of rules: on client addresses, or on the dst
//	access.go    rules that reject clients, PROXY headers of peers
//	reasons.go   why directives without an equal are left
package haproxy
