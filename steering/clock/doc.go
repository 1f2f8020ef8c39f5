// Package clock reads the clocks of the BPF programs. They are those of the host's initial time
// namespace: a process in another one (since Linux 5.6), as in some containers, reads clocks that are
// ahead or behind by a constant. What user space tells a program about a moment, or hears from it, is in
// time of this package.
package clock
