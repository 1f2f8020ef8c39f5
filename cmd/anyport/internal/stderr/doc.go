// Package stderr lets a process die even if nobody reads its stderr.
//
// Go's runtime writes the stack of a panic to file descriptor 2, and ends the process only after
// that write. If fd 2 is a pipe or a socket that is full, the write never returns: one event loop is
// gone, the others go on, and no service manager learns that the process is broken.
package stderr
