package udp

// turns counts how often a flow's client has spoken after the origin: the lowest bit says
// that the origin has spoken last. A client that hears nothing, because its address is
// forged, can only guess when its turn is.
type turns uint8

// turnsToShow are those by which a client shows that it is there.
const turnsToShow = 8

// client notes a datagram of the client.
func (t *turns) client() {
	if *t&1 != 0 {
		*t++ // clears the bit, and counts
	}
}

// origin notes a datagram of the origin that went to the client.
func (t *turns) origin() {
	if !t.shown() {
		*t |= 1
	}
}

func (t turns) shown() bool { return t >= turnsToShow<<1 }

// turnsOf are n turns, of which those beyond turnsToShow say nothing more.
func turnsOf(n int, originSpoke bool) (t turns) {
	t = turns(min(max(n, 0), turnsToShow) << 1)
	if originSpoke {
		t.origin()
	}
	return t
}

func (t turns) count() int        { return int(t >> 1) }
func (t turns) originSpoke() bool { return t&1 != 0 }
