// Package logging is the process's own log, on stderr: nobody ever waits for its reader.
//
//	log.go      from a logger to the queue that drops lines when nobody reads
//	journal.go  the lines as systemd's journal reads them
//	recent.go   the newest lines, for sysdump
//	plain.go    for packages that know no log/slog, and do not bound how much they write
package logging
