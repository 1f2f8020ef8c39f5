// Package handover carries what a running anyport holds to the process that takes its place: messages
// over a unix socket, with file descriptors beside them. What they carry is package upgrade's.
//
// The old process starts the new one with one end of a socket pair ([Start], [Predecessor]); nothing
// of it can be seen in the file system. This is how they talk:
//
//	old                         new
//	offer    ──────────────────▶        copies of the sockets and the steering: both can use them
//	         ◀────────────────── prepared  the file is read, all that can fail has not failed
//	flows    ──────────────────▶        any number of times; the old one reads nothing any more
//	yours    ──────────────────▶        these were all flows
//	         ◀────────────────── ready     the new one steers, and would serve
//	go       ──────────────────▶        the new one serves
//	conns    ──────────────────▶        any number of times, while both serve
//	         ◀────────────────── taken     the new process owns these now
//
// A process on trial (anyport upgrade --share) sends prepared as its answer to the offer, and then answers these:
//
//	count    ──────────────────▶
//	         ◀────────────────── counted   what it has counted
//	hold     ──────────────────▶        an offer that takes the place of the last one: for the death of the old process
//	give back ─────────────────▶
//	         ◀────────────────── conns     any number of times, each answered by taken; counted ends it
//
// Until go either can send refused instead, with the reason, and everything stays with the old one.
// After ready, the new one takes the end of the stream for go: the old process has ended. The end of
// the stream also ends the conns that move: those of a message that taken does not answer are the old
// one's.
//
//	message.go  the kinds of messages
//	header.go   their header on the wire
//	conn.go     sends and receives them
//	start.go    starts the new process
//	pair.go     a stream within one process, and whether the process at the other end lives
package handover
