// Package knock makes and judges the datagrams that open a door: see docs/PROTOCOLS.md for
// their form. A datagram is one line of text, so that a shell can make one. It is signed with
// HMAC-SHA256 by a key that client and server share, counts for a minute before and after its
// time, and once.
//
//	message.go  a datagram: sign and parse
//	keys.go     the file of keys
//	judge.go    what becomes of a datagram
//
// The package knows nothing of routes or sockets. Who remembers the nonces is an argument.
package knock
