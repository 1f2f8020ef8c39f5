package tcp

import (
	"fmt"
	"net/netip"
	"time"

	"anyport/config"
	"anyport/proxy/buffers"
	"anyport/proxy/call"
	"anyport/proxy/route"
	"anyport/proxy/socket"
)

// A conn moves to another process as its sockets and a struct that describes it. Bytes that were read
// and not taken yet go with it, so that the move does not wait for a stalled reader: those of a
// buffer in the struct, those of a pipe with the pipe.

// Conn is a conn on its way from one process to another. Its JSON goes between versions of anyport:
// a field may be added, none may change its meaning.
type Conn struct {
	ID       route.ID             `json:"id,omitempty"`
	Client   netip.AddrPort       `json:"client"`
	Dst      netip.AddrPort       `json:"dst"`
	Route    string               `json:"route"`
	Timeouts config.Timeouts      `json:"timeouts"` // of the route, in case the other process has no route of that name
	Header   config.ProxyProtocol `json:"header"`   // the same; not sent yet while dialling
	TLVs     []config.ProxyTLV    `json:"tlvs,omitempty"`
	Origin   netip.AddrPort       `json:"origin"`
	Paced    config.Rate          `json:"paced,omitempty"`     // the bandwidth that both sockets have
	Tried    []netip.AddrPort     `json:"tried,omitempty"`     // origins that failed before it
	UniqueID []byte               `json:"unique_id,omitempty"` // that the origin got
	Unsure   bool                 `json:"unsure,omitempty"`    // one of them failed otherwise than by refusing

	Inbound  *Inbound  `json:"inbound,omitempty"`  // of a route with accept_proxy
	Dialling bool      `json:"dialling,omitempty"` // the origin has not answered yet
	Waiting  bool      `json:"waiting,omitempty"`  // for an origin: there is none, and no socket to one
	Dialled  time.Time `json:"dialled"`            // or since when it waits
	Begun    time.Time `json:"begun"`
	Connect  uint32    `json:"connect,omitempty"` // microseconds until the origin accepted
	Last     time.Time `json:"last"`              // byte, in either direction
	Cut      time.Time `json:"cut,omitzero"`      // when drain_timeout ends it, if its route is gone

	Ways [2]Way `json:"ways"` // route.ToOrigin, route.ToClient

	// FDs are the client's socket and the origin's, if it has one, and for each way that has a pipe
	// the ends to read from and to write to.
	FDs []int `json:"-"`
}

// Way is one direction of a Conn.
type Way struct {
	Bytes    uint64 `json:"bytes"`              // of payload
	Held     []byte `json:"held,omitempty"`     // read and not taken yet
	Piped    int    `json:"piped,omitempty"`    // the same, in a pipe; 0: it has no pipe
	Ended    bool   `json:"ended,omitempty"`    // FIN was read
	Finished bool   `json:"finished,omitempty"` // FIN was passed on
}

// Move asks Serve for its conns, for another process to serve them.
type Move struct {
	// Give is called with at most MoveBatch conns, which are not read from or written to
	// meanwhile. If it returns nil, the other process has them; after an error they go on
	// here. Their FDs remain Serve's. FDs and Held must not be used after Give.
	Give func([]Conn) error
	Over func(error) // called in the end, with the first error of Give
}

// What is moved at once: so few conns that none of them is delayed noticeably, and so many that the
// time which loops and processes take to respond does not matter.
const (
	MoveBatch = 500
	moveHeld  = 1 << 20 // bytes; what is in the last conn's buffers may come on top
)

// hasOrigin reports whether the conn has an origin, and a socket to it.
func (in *Conn) hasOrigin() bool { return !in.naming() && !in.Waiting }

// Files is the number of FDs that belong to the conn.
func (in *Conn) Files() int {
	n := 2
	if !in.hasOrigin() {
		n = 1
	}
	for _, w := range in.Ways {
		if w.Piped > 0 {
			n += 2
		}
	}
	return n
}

// Check returns an error for a conn that no process can have sent. Serve must not be given one.
func (in *Conn) Check() error {
	addrs := []netip.AddrPort{in.Client, in.Dst, in.Origin}
	if !in.hasOrigin() {
		addrs = addrs[:2]
	}
	for _, a := range addrs {
		if noPort := a.Port() == 0 && (in.Inbound == nil || a != in.Client); !a.IsValid() || noPort || a.Addr().Is4In6() {
			return fmt.Errorf("a conn from %v to %v by %v cannot be", in.Client, in.Dst, in.Origin)
		}
	}
	if err := in.Inbound.check(); err != nil {
		return err
	}
	for _, w := range in.Ways {
		if len(w.Held) > buffers.Size || w.Piped < 0 || w.Finished && !w.Ended {
			return fmt.Errorf("a conn from %v that holds %d and %d bytes cannot be", in.Client, len(w.Held), w.Piped)
		}
	}
	if len(in.FDs) != in.Files() {
		return fmt.Errorf("a conn from %v with %d file descriptors, where it needs %d", in.Client, len(in.FDs), in.Files())
	}
	return nil
}

// Close ends a conn that no process serves.
func (in *Conn) Close() {
	for i, fd := range in.FDs {
		if i < 2 {
			socket.Kernel{}.Reset(int32(fd))
		} else {
			call.Close(fd)
		}
	}
}

// movable reports whether the conn can move. One that has seen RST ends here, at once.
func (c *conn) movable() bool {
	return !c.moving && !c.ends[clientEnd].failed && !c.ends[originEnd].failed
}

// exportConn is the conn as another process gets it.
func (l *loop) exportConn(c *conn) Conn {
	out := Conn{
		ID: c.id, Connect: c.connected, Client: c.client, Dst: c.dst, Route: c.route.Name, Timeouts: c.route.Timeouts, Header: c.route.ProxyProtocol,
		TLVs: c.route.ProxyTLVs, Inbound: c.exportInbound(), Paced: l.bandwidthOf(c), Unsure: c.sawOtherFailure,
		Dialling: c.state == dialling, Waiting: c.state == waiting, Dialled: l.wallTime(c.dialled), Begun: l.wallTime(c.began), Last: l.wallTime(c.active),
		FDs: []int{int(c.ends[clientEnd].fd)},
	}
	if id := l.uniqueIDs[c]; id != "" {
		out.UniqueID = []byte(id)
	}
	if c.hasOrigin() {
		out.Origin, out.FDs = c.origin.At(c.dst.Port()), append(out.FDs, int(c.ends[originEnd].fd))
	}
	for _, o := range c.tried {
		out.Tried = append(out.Tried, o.At(c.dst.Port()))
	}
	if c.drained != 0 && !l.set.Keeps(config.TCP, c.dst, c.route) { // otherwise it is only this loop that drains
		out.Cut = l.wallTime(c.drained)
	}
	for d := range c.ways {
		w := &c.ways[d]
		out.Ways[d] = w.export()
		if w.pipe != nil {
			out.FDs = append(out.FDs, int(w.pipe.Read), int(w.pipe.Write))
		}
	}
	return out
}

// export is the way as another process gets it.
func (w *way) export() Way {
	out := Way{Bytes: w.bytes, Ended: w.ended, Finished: w.finished}
	if w.held != nil {
		out.Held = w.held.Held()
	}
	if w.pipe != nil {
		out.Piped = w.pipe.Held
	}
	return out
}

// heldBytes is the number of bytes that travel in the struct.
func (in *Conn) heldBytes() int {
	return len(in.Ways[route.ToOrigin].Held) + len(in.Ways[route.ToClient].Held)
}
