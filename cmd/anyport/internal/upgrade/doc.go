// Package upgrade replaces a running anyport by a new process that goes on with its sockets, its
// steering, its flows and its conns. It is both sides of that: [Run] is the old process, and
// [Predecessor] is the old process as the new one sees it. The messages are package handover's.
//
//	old.go       Run: start the new process, offer, hand over the flows, move the conns
//	new.go       Predecessor: hear the offer, receive flows, be ready, receive conns
//	offer.go     what is copied while the old process serves
//	conns.go     live conns and their sockets, in batches
//	binary.go    which file is started
//	trial.go     a process on trial, as the old process sees it
//	on_trial.go  the old process, as one on trial sees it
//	held.go      what a process on trial holds for the death of the old one
//
// Until the message go, the old process serves and a failure changes nothing: the new process is
// killed. The old process accepts and reads nothing between the message yours and go, so every wait
// there is bounded by [Timeout]. What holds sockets and steering is package daemon, which gives Run a
// [Server] and asks a Predecessor at each step of its own start.
package upgrade
