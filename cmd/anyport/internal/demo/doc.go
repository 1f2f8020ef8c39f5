// Package demo is `anyport demo`: a whole anyport, its origin and its clients in a network namespace
// that has no name and belongs to this process only, so that it ends with the process. Nothing is
// written to disk.
//
//	demo.go          starts the parts, and shows what they do
//	namespace.go     the network namespace
//	origin.go        an origin that answers what the PROXY header says
//	answer.go        its answer, and what is wrong with one
//	client.go        clients that ask over TCP and UDP
//	examples.go      a few odd ports, asked once
//	sweep.go         all ports, asked by many clients at once
//	progress_bar.go  how far the sweep is
//
// The demo's own anyport is package daemon, as in `anyport run`.
package demo
