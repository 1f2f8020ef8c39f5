// Package table says which route takes a packet. [Compile] turns the routes of a config into a
// [Table]: for each prefix the ports 0 to 65535 in sorted intervals, each bound to a route or
// to [steering] unmatched. Lookup, Decide and Explain read it in Go. Package bpfmaps copies the
// same prefixes, intervals and bindings into BPF maps, so that the program in the kernel and
// the process do one longest-prefix match and one binary search over the same numbers.
//
// The package is pure: no system calls, no BPF, no root. So `anyport check`, `anyport explain
// -c` and the tests of the proxy need none of these. What a table looks like in bytes is drawn
// in docs/table.svg.
//
//	table.go    Table and its parts; contents.go: all that is in one
//	lookup.go   what becomes of a packet: Lookup and Decide
//	compile.go  routes → prefixes with policies; overlay.go lays port ranges over each other
//	rules.go    what a binding says beside the verdict: rate limits, idle times
//	retired.go  prefixes of the table before, which stay local while their conns end
//	split.go    two tables that cannot serve at the same time
//	knock.go    sequences of knocks, by prefix, and the port for authenticated ones
//	explain.go  a decision with its reasons, in words
package table
