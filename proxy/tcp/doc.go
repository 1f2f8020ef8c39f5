// Package tcp carries conns from their first byte to their last, on a few event
// loops. Each stage of a conn is one function in one file, which reads top to bottom:
//
//	accept         acceptBatch  accept.go    one loop takes it from a listener's queue, and keeps it to its end
//	lookup, admit  admitConn    admit.go     dst is the accepted socket's own name; no route, or not admitted: RST
//	pick, dial     dialNext     dial.go      the route's origins one after the other, until one accepts
//	header, relay  startRelay   relay.go     the PROXY header, then bytes both ways (transfer.go)
//	close          closeConn    close.go     FIN, RST or a timeout: counted, recorded, both sockets closed
//
// Nothing is read from the client before an origin has accepted, so nothing is lost on an origin
// that fails. The header goes out in one write with what the client has sent by then, and waits
// for no byte of the client: the origin may be the one that speaks first.
//
// Small reads go through one buffer of the loop's. A turn reads the messages of all its conns before it
// writes the first (outbox.go). What the other side does not take is kept, and
// no more is read until it is taken, so that a stalled reader stops its sender. A way whose reads
// fill the buffer several times in a row borrows a pipe and splices. Urgent data is passed in-band:
// each byte arrives in its place, without its mark.
//
// FIN is passed on after all bytes before it; the other way lives on, for up to half_close_timeout
// without a byte. The second FIN ends the conn. RST and every other end are passed on as RST, and
// what came before an RST is delivered first if that needs no waiting: a conn that was cut never
// looks complete.
//
// What serves these stages:
//
//	serve.go, loop.go, epoll.go    Serve, the loops, and events that become a conn's state
//	conn.go, conns.go              what a conn is; the loop's conns by slot
//	steps.go, timeouts.go          decisions: what a conn does next, and when it ends
//	pacing.go, throttle.go         bandwidth of a conn, and of a route
//	dial_socket.go, sources.go     the socket that a dial opens; the addresses that a route dials from
//	queue.go                       conns wait for an origin at its max_conns; queue_reload.go, queue_move.go
//	gate.go, evict.go              when files run out: conns wait in the queue, idle ones of large clients are evicted
//	drain.go, requests.go          the end of a loop or a route; what other goroutines ask of the loops
//	move.go, move_out.go, move_in.go    conns go to another process, which accepts from the same listeners
//	wheel/, pipes/, buffers/, socket/   timers · pipes on loan · bytes kept for slow readers · calls on sockets
//
// Each socket is in its loop's epoll once, edge-triggered. An idle conn has two fds, its struct and
// a place in the timer wheel: no goroutine, no buffer, no pipe. A loop's state is touched by its own
// goroutine only; others send it functions through its mailbox.
package tcp
