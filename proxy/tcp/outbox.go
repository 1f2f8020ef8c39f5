package tcp

import (
	"anyport/proxy/buffers"
	"anyport/proxy/route"
)

// outbox holds the small messages that a turn has read until all its events are handled: the loop
// first reads from all conns, then writes to all. A write wakes the peer's thread. If each message
// were written as soon as it is read, a peer on another core would serve one and sleep again, and a
// peer on this core would be switched to between two of them; written one after the other, they find
// it awake. A turn with one event collects nothing.
type outbox struct {
	collecting bool      // the turn has more events to handle
	messages   []message // at most one of each way: while it waits, the way reads nothing
	emptied    []message // the memory of messages that were sent, for the next turn
	buffer     []byte    // their bytes, and room for one read of [buffers.Size] behind them
	used       int       // bytes of buffer that messages have
}

// message is what way d of a conn has read.
type message struct {
	c     *conn
	d     route.Direction
	bytes []byte
}

const (
	largestMessage = 4 << 10 // bytes; what is larger is sent at once, as it is worth a wake-up
	mostMessages   = 64      // after as many, the first conn's memory would no longer be in the cache
)

// free is where the next read goes: most bytes at most.
func (o *outbox) free(most int) []byte { return o.buffer[o.used:][:min(buffers.Size, most)] }

// takes reports whether a message of n bytes, which is in [outbox.free], waits for the end of the turn.
func (o *outbox) takes(n int) bool {
	return o.collecting && n <= largestMessage && o.used+n <= len(o.buffer)-buffers.Size
}

// put keeps a message that [outbox.takes] has accepted.
func (o *outbox) put(m message) {
	m.c.ways[m.d].collected = true
	o.messages = append(o.messages, m)
	o.used += len(m.bytes)
}

// sendCollected empties the outbox. It comes before anything that looks at conns as a whole, such as
// an order to move them to another process. A conn may have ended since it was read.
func (l *loop) sendCollected() {
	if len(l.outbox.messages) == 0 {
		return
	}
	defer func(before bool) { l.outbox.collecting = before }(l.outbox.collecting)
	l.outbox.collecting = false // what is read here is sent at once, or the outbox would not be empty
	sent := l.outbox.messages
	for _, m := range sent {
		m.c.ways[m.d].collected = false
		if m.c.state == relaying {
			l.send(m.c, m.d, m.bytes)
		}
	}
	l.outbox.messages, l.outbox.used = l.outbox.emptied[:0], 0
	for _, m := range sent {
		if m.c.state == relaying { // what waited for the message, such as a FIN behind it
			l.relayConn(m.c)
		}
	}
	clear(sent)
	l.outbox.emptied = sent
}
