package udp

import "anyport/proxy/datagram"

// readSize is how many messages the next read of an origin socket asks for. A read that finds fewer
// than it asks for costs one more look of the kernel at an empty queue, and most sockets have one
// message at a time.
type readSize struct {
	most  uint8
	large bool   // the socket is prepared for bursts: see expectBursts
	turn  uint32 // of the last read
}

func (r *readSize) messages() int { return max(1, int(r.most)) }

// adapt notes that a read in this turn found n messages. A socket that returned as many as were asked
// for, and was ready in the turn before, too, has more.
func (r *readSize) adapt(n int, turn uint32) {
	switch {
	case n <= 1 && r.most > 1:
		r.most = 1
	case n == r.messages() && r.turn == turn-1:
		r.most = uint8(min(4*n, datagram.BatchSize))
	}
	r.turn = turn
}
