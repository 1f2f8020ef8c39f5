// Package pins keeps the steering program, its maps and its link in a directory of a bpffs, so
// that they outlive the process: clients are then refused, and do not reach the host's own
// listeners, until the next process takes over. [PlaceOf] says which directory, [Dir] is that
// directory, locked and checked: whoever else could write there could hand this process a
// program and maps of theirs.
//
//	place.go    which directory
//	dir.go      the directory, open and locked
//	save.go     pins the program, its maps and its link, and removes them
//	restore.go  pins again what somebody has removed
//	load.go     opens what a process before has pinned, and refuses what is not anyport's
//	fast.go     the same for the fast path; fleet.go: for the links of a fleet
package pins
