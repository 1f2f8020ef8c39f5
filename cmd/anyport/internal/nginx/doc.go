// Package nginx reads the stream part of nginx's configuration into the form of package proxyconf.
// What has no equal is left, with the reason.
//
//	tokens.go   text → words, semicolons and braces
//	parse.go    tokens → directives, with blocks in them
//	include.go  files that include names
//	read.go     stream blocks → services
//	listen.go   listen directives
//	pass.go     proxy_pass → choices: an upstream, an address, a map of the dst
//	upstream.go upstream blocks → origins
//	server.go   the other directives of a server → keys of a route
//	units.go    times, sizes and addresses
//	reasons.go  why directives without an equal are left
package nginx
