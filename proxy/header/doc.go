// Package header writes and reads the headers that tell an origin who the client is: the PROXY
// protocol's v1 and v2 (header.go), and the Simple Proxy Protocol for datagrams (spp.go).
//
// A header names the original client and the original dst, or there is an error: never LOCAL or
// UNKNOWN, which an origin would take for the proxy itself. The package is pure: it sends nothing.
//
// Health checks have no client: check.go has the headers that say so.
package header
