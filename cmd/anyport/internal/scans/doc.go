// Package scans sums up who sends to ports that nobody serves, in a bounded amount of memory: anybody can
// send such packets, from as many forged addresses as he likes. It does no I/O.
//
//	table.go     what has come: by client, by its network, by port, and by port of the busiest prefixes
//	ranking.go   the keys that come most often, of more keys than there is room for
//	distinct.go  how many different values there were
//	grid.go      packets by port of one prefix, lately
//
// Packets that the kernel did not report (see bpf/scans.h) are in none of it.
package scans
