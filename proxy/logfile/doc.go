// Package logfile writes whole lines to files that may be full, stuck or removed: each line is in the
// file, or it is counted as lost.
//
// A [Writer] gathers lines for the goroutine that has the file (writer.go): the access log uses it. A
// [Queue] is a Writer with a goroutine of its own, so that no caller waits (queue.go): the log uses it.
// [Printable] escapes in these lines what a terminal would obey, and [PrintableText] in other texts (printable.go).
package logfile
