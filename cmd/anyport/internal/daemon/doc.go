// Package daemon is a running anyport: it opens the steering, serves, reloads, drains, hands over and
// stops.
//
// One goroutine, that of [Run], decides: signals, orders of the admin API and the end of a reload or
// upgrade come to it one after the other (control), so they never race. It must not wait for a file
// or for another process: reading a file and upgrading run on goroutines of their own and report
// back. What is open is closed in reverse order.
//
//	daemon.go            what is held; open and close
//	serve.go             the goroutines of a serving process, and stop
//	control.go           the goroutine that decides
//	reload.go            read a file beside it, put the result in service; reload_file.go: read and compile it
//	change.go            what a reload changes, and whose conns that ends
//	drain.go             routes that take no new conns; drain_grace.go: not at once where routers must learn of it
//	upgrade.go           the old process of an upgrade (see package upgrade)
//	predecessor.go       the new process of an upgrade
//	fd_store.go          sockets that the service manager keeps for the time after a crash
//	saved.go             counters and orders in memory that outlives the process; kernel_counters.go
//	listeners.go         their queues, and what the kernel has dropped there
//	watchdog.go          tells the service manager that the event loops turn
//	guard.go             what the guard against crash loops tells
//	admin.go             what package api asks
//	status.go            the state, for status and metrics
//	explain.go           a packet explained by table, kernel and file
//	dropped_prefixes.go  prefixes that only stay local for old conns
//	knock.go             knocks by a datagram; doors.go: doors that the kernel opens
//	mirror_closed.go     ports that origins refuse, refused in the kernel
//	privileges.go        the user and the capabilities that serving needs
//	access_log.go        the access log, which may belong to another user
//	limits.go            how many file descriptors and flows there may be
//	low_fds.go           the limit of file descriptors is lowered while it serves
//	log.go, plain_log.go the log
//	recent_lines.go      its newest lines; sysdump.go: these and the status, without secrets
package daemon
