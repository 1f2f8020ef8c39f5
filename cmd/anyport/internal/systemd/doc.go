// Package systemd tells the service manager the state of a process, and keeps file descriptors with
// it: sd_notify(3), sd_listen_fds(3), and the file descriptor store of systemd.service(5),
// FileDescriptorStoreMax=. Without a manager everything here does nothing.
//
//	notify.go    messages to the manager
//	fd_store.go  file descriptors that come back from its store
//	watchdog.go  how often it wants to hear from the process
package systemd
