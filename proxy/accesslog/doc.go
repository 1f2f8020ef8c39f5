// Package accesslog writes the access log: a line for each conn and flow at its end, lines of long ones
// meanwhile, and one a second for all that were refused alike.
//
// The event loops call [Log.Record], which never waits. One goroutine, the writer (log.go), takes what
// they have queued (queue.go), makes lines of it and sends them to one destination:
//
//	field.go      what a line says: one table, for all formats
//	text.go       the formats: logfmt, JSON, and the message for people
//	sums.go       refused conns and flows, summed
//	lines.go      destinations that take lines: files, standard error, syslog over TCP
//	datagrams.go  destinations that take a datagram for each line: the journal, syslog
//	journal.go    native fields of the journal
//	syslog.go     the header of RFC 5424
//	open.go       files: opened, and opened again after a rotation (share.go: and given to a new process)
//	try.go        whether a destination could be opened, for a dry run
//	losses.go     what is lost is counted, and reported in the log
package accesslog
