// Package privileges reads and drops what a process may do: its user and its capabilities.
//
//	privileges.go    what this process holds
//	drop.go          becomes another user and drops capabilities, on all threads, irrevocably
//	as_user.go       opens files with the rights of another user, on one thread
//	shared_user.go   users that several services run as
//	trusted_path.go  paths that only given users can replace
//
// The kernel keeps users and capabilities by thread. Go moves goroutines between threads, so a change
// must reach all of them, those to come included, or stay on a thread that no other goroutine gets.
package privileges
