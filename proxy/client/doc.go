// Package client says which addresses count as one client in limits (client.go), and which client
// holds most of something (ranking.go).
//
// One IPv6 host has a whole /64 (RFC 4291 §2.5.4, RFC 6177), so a limit that counted IPv6 addresses
// one by one would limit nothing.
package client
