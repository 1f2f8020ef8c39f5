// Package call has the system calls of event loops that never wait, made past Go's scheduler (call.go),
// and the socket addresses that they take (sockaddr.go).
//
// The scheduler takes the processor away from a call that it knows of and that lasts over 20 µs, as
// one does that carries its packet up to the peer's receive queue; the call then waits for a
// processor: two thread switches for nothing. Only epoll_wait waits, and goes through the scheduler.
// A loop that makes only such calls has to yield by hand (pace.go).
//
// An error is a bare [unix.Errno]: the caller knows what the call was for. Which local ports there are
// to dial from is read here too (ports.go).
package call
