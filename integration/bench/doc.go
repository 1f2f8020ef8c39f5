// Command bench measures anyport beside other proxies, kernel DNAT and plain
// routing, each in the same three network namespaces:
//
//	client ──── edge (the peer) ──── origin
//
//	go run ./integration/bench [flags] [tcp|udp|all]
//
// It needs root. A peer that is not installed is left out, and named. To check
// whether everything works, -runs 1 -seconds 0.5 is enough; the figures are noise then.
package main
