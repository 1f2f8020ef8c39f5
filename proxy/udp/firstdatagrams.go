package udp

import "slices"

// What is kept of first datagrams.
const (
	maxFirsts    = 1024
	maxFirstSize = 1500 // bytes
)

// firstDatagrams are copies of the first datagrams of the youngest flows: an origin that refuses one
// says so within a round trip, and another origin is sent the copy, so that the client need not wait
// for its own retry. It holds those of the last 1,024 flows, 1.5 MB at most, in memory that is used
// again and again; at 40,000 new flows a second that is 25 ms. A flow's place is given by its
// generation, so the flow stores none. It belongs to one loop.
type firstDatagrams struct{ all []firstDatagram }

// firstDatagram is what the client of a flow sent first.
type firstDatagram struct {
	generation uint32 // of the flow; 0: of none
	tos        uint8
	payload    []byte
}

// keep copies the first datagram of f, if there is another origin that it may have to be sent to. It
// overwrites that of the flow 1,024 before.
func (d *firstDatagrams) keep(f *liveFlow, payload []byte, tos uint8) {
	if len(f.Route.Origins().Origins) < 2 || len(payload) > maxFirstSize {
		return
	}
	if d.all == nil {
		d.all = make([]firstDatagram, maxFirsts)
	}
	at := &d.all[f.Sockets.generation%maxFirsts]
	at.generation, at.tos = f.Sockets.generation, tos
	at.payload = append(at.payload[:0], payload...)
}

// takeOut returns f's first datagram, once; nil where there is no copy any more.
func (d *firstDatagrams) takeOut(f *liveFlow) *firstDatagram {
	if d.all == nil {
		return nil
	}
	at := &d.all[f.Sockets.generation%maxFirsts]
	if at.generation != f.Sockets.generation {
		return nil
	}
	at.generation = 0
	return &firstDatagram{f.Sockets.generation, at.tos, slices.Clone(at.payload)}
}
