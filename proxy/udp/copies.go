package udp

import "slices"

// What is kept of first datagrams.
const (
	maxCopies = 1024
	maxCopy   = 1500 // bytes
)

// copies are the first datagrams of the youngest flows: an origin that refuses one tells so
// within a round trip, and another origin is sent the copy, which spares the client the wait
// for its own retry. There is room for the last 1,024 flows, 1.5 MB at most, in memory that is
// used again and again; at 40,000 new flows a second that is 25 ms. A flow has its place by
// its generation, so that it need not remember one.
type copies struct{ all []firstDatagram }

// firstDatagram is what the client of a flow sent first.
type firstDatagram struct {
	generation uint32
	class      uint8
	payload    []byte
}

// keep notes the first datagram of f, if another origin may have to be sent it.
func (c *copies) keep(f *flow, payload []byte, class uint8) {
	if len(f.route.Origins.Origins) < 2 || len(payload) > maxCopy {
		return
	}
	if c.all == nil {
		c.all = make([]firstDatagram, maxCopies)
	}
	at := &c.all[f.generation%maxCopies]
	at.generation, at.class = f.generation, class
	at.payload = append(at.payload[:0], payload...)
}

// of takes out a copy of f's first datagram; nil where there is none any more.
func (c *copies) of(f *flow) *firstDatagram {
	if c.all == nil {
		return nil
	}
	at := &c.all[f.generation%maxCopies]
	if at.generation != f.generation {
		return nil
	}
	at.generation = 0 // of no flow
	return &firstDatagram{f.generation, at.class, slices.Clone(at.payload)}
}
