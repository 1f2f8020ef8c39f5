// Package fleet has what several hosts share that serve one table: the tables, the pointer that says
// which of them is current, and the reports of the hosts. It does no I/O: a [Store] does, such as
// that of package etcd.
//
//	table.go    a table by the hash of its text; its parts and manifest
//	pointer.go  which host takes which table
//	report.go   what a host says about itself
//	store.go    what a store can do, for a push and for the hosts
//
// A table never changes once it is stored. Only a push moves the pointer, and only one push runs at
// a time. Each host decides by itself whether it takes the table that the pointer names for it; it
// never writes to anything but its own keys.
package fleet
