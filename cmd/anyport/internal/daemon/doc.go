// Package daemon is a running anyport: it opens the steering, serves, reloads, drains, hands over and
// stops.
//
// One goroutine, that of [Run], decides: signals, orders of the admin API and the end of a reload or
// upgrade come to it one after the other (control), so they never race. It must not wait for a file
// or for another process: reading a file and upgrading run on goroutines of their own and report
// back. What is open is closed in reverse order.
//
// Its life:
//
//	daemon.go            what is held; generation.go: of one config in service
//	open.go              open and close, in order; open_routes.go: the proxy, and then the steering
//	serve.go             the goroutines of a serving process, and stop
//	control.go           the goroutine that decides
//	handshakes.go        a stop waits for handshakes that have begun
//	confirm.go           run --confirm: gives all back unless somebody confirms
//	watchdog.go          tells the service manager that the event loops turn
//	guard.go             what the guard against crash loops tells
//	privileges.go        the user and the capabilities that serving needs
//	limits.go            how many file descriptors and flows there may be
//	low_fds.go           the limit of file descriptors is lowered while it serves
//
// The file comes into service:
//
//	reload.go            a reload from the order to the answer; reload_outcome.go: what log and status say of it
//	reload_file.go       reads and compiles the file, beside the goroutine that decides
//	enter_service.go     puts the result into service
//	change.go            what a reload changes, and whose conns that ends
//	dropped_prefixes.go  prefixes that only stay local for old conns
//	hours.go             routes that are in force at some hours; names.go: DNS names of origins
//	trial.go             a table for a share of the clients; trial_check.go: why not; trial_status.go: its counters
//	process_trial.go     a process for a share of them; on_trial.go: that process itself
//	drain.go             routes that take no new conns; drain_grace.go: not at once where routers must learn of it
//
// What another process gives or gets:
//
//	upgrade.go           the old process of an upgrade (see package upgrade)
//	upgrade_run.go       its goroutine, and what waits for its end
//	predecessor.go       the new process of an upgrade
//	fd_store.go          sockets that the service manager keeps for the time after a crash
//	saved.go             counters and orders in memory that outlives the process; kernel_counters.go
//
// What other hosts give or get:
//
//	fleet.go             tables of a source; fleet_report.go: what it is told
//	fleet_status.go      the same for status; fleet_upgrade.go: what goes to the next process
//	drain_fleet.go       not all hosts are drained at once
//	peers.go             [fleet] peers; peers_status.go
//	announce.go          the routes of [announce], and when they are withdrawn
//
// What kernel and proxy tell each other:
//
//	listeners.go         the queues of the sockets, and what the kernel has dropped there
//	knock.go             knocks by a datagram; doors.go: doors that the kernel opens
//	all_down.go          routes without an origin that is up, refused in the kernel
//	mirror_closed.go     ports that origins refuse, refused in the kernel
//	fast_path.go         flows that the kernel forwards
//	scans.go             packets to ports that nobody serves
//
// Questions and orders of the admin API:
//
//	admin.go             the admin socket and admin.http
//	service.go           what package api asks; origin.go, kill.go, trace.go: the longer ones
//	status.go            the state, for status and metrics; readiness.go: for probes
//	explain.go           a packet explained by table, kernel and file; port_map.go: all ports of a prefix
//
// The log:
//
//	access_log.go        the access log, which may belong to another user
//	log.go               the log (see package logging)
//	sysdump.go           its newest lines and the status, without secrets
package daemon
