// Package pins keeps the steering program, its maps and its link in a directory of a bpffs, so
// that they outlive the process: clients are then refused, and do not reach the host's own
// listeners, until the next process takes over. [PlaceOf] says which directory, [Dir] is that
// directory, locked and checked: whoever else could write there could hand this process a
// program and maps of theirs.
package pins
