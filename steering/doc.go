// Package steering has the kernel hand packets for served prefixes to the sockets of this
// process. [Open] loads the sk_lookup program of package bpf, attaches it to the network
// namespace, opens the sockets that it chooses, fills its maps with a [table.Table], and adds
// the local routes that make the prefixes local. [Steering.Replace] puts another table into
// service: it fills the half of the maps that does not serve, and then changes the one number
// that the program reads for each packet, so that no packet meets half a table.
//
// The steering can outlive the process: by pins in a bpffs (package pins), or by
// [Steering.Handover] to another process, which calls [Inherit]. Two rules decide the order of
// all steps: no served address may ever lead to the host's own listeners, and what two tables
// or two processes both serve is refused at no moment.
//
// The parts that need no Steering are packages of their own: table (what a config means),
// bpfmaps (a table as map entries), program (the program in the kernel), pins, host (addresses,
// listeners, local routes), instances (other anyports) and capabilities. Package proxy, which
// serves what arrives at the sockets, does not import any of them, nor do they import proxy.
//
//	steering.go           the type Steering, its sockets, Close and Release
//	open.go               Open and Inherit, step by step; open_pins.go, open_program.go
//	replace.go            Replace: another table in service
//	trial.go              a second table that serves a share of the clients; trial_begin.go, trial_share.go, trial_end.go
//	generation.go         the two halves of the maps: flip, erase, numbers of routes
//	retired_prefixes.go   prefixes that a reload drops stay local while their conns end
//	sockets.go            the sockets that the program chooses from; socket_options.go
//	listeners.go          their queues, and what the kernel has dropped there
//	link.go               the link that attaches the program; link_guard.go: it is released last
//	handover.go           file descriptors to another process, and back
//	preload.go            another build's program takes the place of this one
//	saved.go              memory for counters and orders that outlives the process
//	on_death.go           what clients meet when the process is killed
//	other_instances.go    prefixes and routes of other anyports in the namespace
//	leftover_pins.go      what dead processes have pinned; unload.go removes it
//	return_path.go        what origins send to the clients of transparent routes comes back here
//	fast_path.go          the kernel forwards UDP flows that user space has admitted
//	watch.go              restores what other programs detach or remove
//	status.go             what the kernel has now; counters.go, drift.go, explain.go
//	readiness.go          whether packets come here by the table in service
//	withdraw.go           sockets leave the program without refusing what a packet filter let pass
//	knock.go              who has knocked, and how far; doors.go: the open doors
//	knock_nonces.go       the datagrams that have opened one, each once
//	trace.go              tells of each packet that somebody wants to see; scans.go: of those that nobody serves
//	ring.go               reads a ring buffer of the program: of doors, traces, scans
//	drain.go              no new conns of a route; closed_services.go: none of one dst
package steering
