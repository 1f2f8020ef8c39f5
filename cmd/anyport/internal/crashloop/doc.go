// Package crashloop keeps an anyport from dying again and again with a new config. It remembers in a
// directory that outlives the process which config has served for a minute, and with which one a
// process has died before that. After two such deaths the next start serves the last config that
// lasted, in place of the file, until the bytes of the file change or an operator reloads it.
//
// What counts as a death is what no process has reported: a panic, a signal that kills, the kernel's
// OOM killer, a host that lost its power. A stop, a refused file and an upgrade are reported. The
// package does not know why a process has died: a config that lasts 61 seconds counts as good, and if
// the binary is at fault, the last config that lasted dies too. The log then says so.
//
//	records.go    what is remembered, and how it changes; pure
//	decide.go     which config a process starts with; pure
//	guard.go      the guard of a process: it opens, starts with a config, ends
//	attempt.go    a config is tried, serves, has lasted
//	upgrade.go    the records pass to another process
//	status.go     what it tells
//	writer.go     writes what is remembered, on a goroutine that may wait for the disk
//	directory.go  the files
//	identity.go   tells a process that runs from one that has died
package crashloop
