// Package services finds the listening sockets of services of this host, for routes with action =
// "socket", and puts them into the map local_sockets of the steering program.
//
// Two ways lead into the map. The program note_listener, attached to the cgroup of a service, puts
// a TCP listener in at listen(2), also while there is no anyport process. A [Watcher] looks at the
// map every [Interval]: if a socket is missing it reads the processes of the service, copies the
// descriptor of the socket that it looks for (pidfd_getfd, Linux 5.6), and puts that in. So it
// finds UDP sockets, and what listened before. The kernel takes a socket out when it is closed.
//
// It does not change routes, and no packet waits for it.
//
//	target.go   what is looked for, and the choice among the sockets of a service; pure
//	cgroup.go   from the name of a service to its cgroup and its processes
//	process.go  the sockets of a process, and a copy of one
//	manager.go  processes that are still a copy of the service manager, whose sockets are not the service's
//	hook.go     note_listener: loaded, attached to cgroups
//	watcher.go  follows the services; search.go looks for a socket and keeps the map filled
//	status.go   how each stands
//	check.go    what is wrong with a service at a start or reload
package services
