// Package fastpath has the kernel forward the datagrams of UDP flows that user space has admitted:
// the program forward_admitted of package bpf, its maps, and the devices that it is attached to.
// Which flows these are is decided elsewhere. A flow is admitted for one generation: whenever
// anything changes that a decision stood on, [Path.Raise] ends all of them with one write, and their
// next datagrams come to user space, which decides again.
//
//	path.go       the type Path: its generation, and what was forwarded of a flow
//	admit.go      a flow is forwarded by the kernel from now on; leave.go: not any more
//	remember.go   the steering program is told which flows live
//	entry.go      a flow as the two entries of the program's table; pure
//	table.go      the entries in the kernel: of the first flows, and of many
//	places.go     what the program counts of each flow, in mapped memory
//	open.go       a Path opens, is attached, goes to another process, ends
//	adopt.go      the flows of a process that was killed
//	ways.go       through which devices a flow's datagrams leave
//	devices.go    which devices the program is attached to, and why not
//	watch.go      what the kernel reports: rules, routes, devices
//	objects.go    the program and its maps in the kernel; descriptors.go: on their way
package fastpath
