// Package integration judges anyport from outside: its tests build the binary,
// run it between a client and an origin in network namespaces of their own, and
// use nothing but what a user has: the file, the commands, the log and the wire.
//
//	client ──── edge (anyport run) ──── origin
//
// The namespaces are anonymous: when the test process ends, however it ends,
// nothing of them is left. The tests need root and skip without it; with
// REQUIRE_ROOT=1 they fail instead.
//
// ANYPORT_BINARY names a binary to judge instead of building one.
// ANYPORT_SWEEP=all tries every port, ANYPORT_SUITES=1 runs the long suites,
// ANYPORT_SOAK=1 the long forms of tests that have a short one.
package integration
