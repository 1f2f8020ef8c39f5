// Package saved keeps the counters of a process, and the orders of its operators, in memory that outlives
// it: a BPF map that is pinned, kept by the service manager, or handed over in an upgrade.
//
//	area.go     the memory: pages, each with two records, of which the newer whole one counts
//	record.go   the header of a record, with checksums
//	content.go  what a record holds: orders and counters, as bytes
//	book.go     the rules: who writes which page, and what counts as read
//
// A process copies its counters into its own page: each second, and before it answers with them. So
// nothing that a client of the admin API has seen is lost when the process is killed, and the event loops
// count in their own memory as ever.
//
// While a process still ends its last conns after an upgrade, it goes on writing to its page, and its
// successor adds what is new there to its own counters. Once it has ended, the successor absorbs the page:
// it names the page in its next record, which has all that was counted there.
//
// Nothing here trusts the memory: what cannot be read, or is of an unknown version, counts as nothing.
package saved
