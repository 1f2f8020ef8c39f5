// Package etcd keeps a fleet's tables, pointer and reports in an etcd, by its client v3.
//
//	store.go    opens it; its keys
//	state.go    the pointer, and the watch for its changes
//	tables.go   tables in parts
//	lease.go    what a lease holds: a push, a host
//	hosts.go    the reports, and who may withdraw
//
// Below the path of the source's URL, PREFIX:
//
//	PREFIX/parts/SHA256      a part of a table's text, at most fleet.PartSize
//	PREFIX/tables/SHA256     the manifest of the table whose text has this hash
//	PREFIX/current           the pointer
//	PREFIX/current.push      the push that runs, under its lease
//	PREFIX/hosts/NAME        the report of a host, under its lease
//	PREFIX/namesakes/NAME/INSTANCE  that of a host whose name another one has, under its lease
//	PREFIX/withdrawn/NAME    there while a host asks to stop announcing, under its lease
//
// What is read here is not trusted: sizes are bounded, and texts are compared with their hashes.
package etcd
