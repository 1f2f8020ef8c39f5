package tcp

import (
	"net/netip"
	"time"

	"anyport/config"
	"anyport/proxy/buffers"
	"anyport/proxy/call"
	"anyport/proxy/origin"
	"anyport/proxy/pipes"
	"anyport/proxy/route"
	"anyport/proxy/wheel"
)

// state is where a conn is in its life.
type state uint8

const (
	dialling state = iota // an origin is being dialled, nothing was sent to it
	relaying              // an origin has accepted
	closed                // it has left its slot; a timer or event may still hold it
	naming                // the PROXY header that names the client has not come yet, nothing is dialled
	waiting               // the origins have their max_conns: it is in the queue of its route
)

// conn is one conn. While it is idle it takes 320 bytes and two fds. The loop that accepted it owns
// it until its end or its move to another process; only the loop's goroutine touches it.
type conn struct {
	timer           wheel.Timer[*conn]
	slot            uint32
	queue           uint32        // bytes that the kernel still had to deliver when delivering last looked
	owner           *clientHolder // its client
	siblings        siblings      // other conns of its client
	generation      uint32        // tells its events from those of the conn that had the slot before
	state           state
	queued          bool              // on the loop's ready list
	moving          bool              // it is being moved to another process: nothing is done for it
	keepalive       bool              // probes are on, on both sockets
	sawOtherFailure bool              // an origin failed otherwise than by refusing: dst may not be closed
	hurries         bool              // the dial in progress ends after otherWayAfter
	hurried         uint8             // the place among tried, from 1, of an address whose dial did; 0: none; takenBack
	failure         origin.ErrorClass // of the origin that was tried last
	errno           uint8             // of the same; 0: none
	source          uint16            // where the origin counts its source address; 0: nowhere
	connected       uint32            // microseconds from the dial until the origin accepted; 0: it has not
	progress        uint32            // when the access log gets its next line: tenths of a second since the loop began; 0: only at its end

	ends [2]end // clientEnd, originEnd
	ways [2]way // route.ToOrigin, route.ToClient: way d goes from ends[d] to ends[1-d]

	route  *route.Route
	origin *origin.Origin   // that is dialled or relayed to; nil between two dials
	tried  []*origin.Origin // those that failed before it

	id          route.ID
	client, dst netip.AddrPort // in state naming, client is the peer
	inbound     *inbound       // of a route with accept_proxy; otherwise nil

	// Moments since the loop began.
	began   time.Duration
	dialled time.Duration // the dial in progress; in state waiting, when it began to wait
	active  time.Duration // the last byte, in either direction
	drained time.Duration // when drain_timeout cuts it; 0: not draining
}

// hasOrigin reports whether an origin is dialled or relayed to.
func (c *conn) hasOrigin() bool { return c.state == dialling || c.state == relaying }

// The ends of a conn. A way's number, its route.Direction, is that of the end that it reads from.
const (
	clientEnd = iota
	originEnd
)

// end is one socket of a conn and what epoll has reported of it. Each event comes once, at the edge,
// so what it said stays here until a call returns EAGAIN.
type end struct {
	fd       int32 // -1: none
	readable bool
	writable bool
	hungUp   bool // FIN or RST has come: a short read does not mean that the queue is empty
	urgent   bool // it sends urgent data: the same, and splice does not get past it
	failed   bool // RST, or an error that ends it as well
	vanished bool // it failed because the peer no longer answers
}

// way is one direction of a conn. It holds bytes in a buffer or in a pipe, never in both.
type way struct {
	held      *buffers.Buffer // read and not taken yet; nil: nothing
	pipe      *pipes.Pipe     // borrowed while the way carries bulk; nil: none
	bytes     uint64          // payload
	streak    uint8           // reads in a row that were large
	ended     bool            // FIN was read
	finished  bool            // FIN was passed on
	collected bool            // what it has read is in the outbox of the loop
	paused    bool            // it reads nothing until its route's bandwidth allows: see throttle
}

// holds reports whether bytes were read that the other end has not taken yet.
func (w *way) holds() bool { return w.held != nil || w.pipe != nil && w.pipe.Held > 0 }

// sockets are the calls that the steps of a conn make: on the kernel ([socket.Kernel], which says
// what each does), or in tests on a script, so that lives of a conn can be played without one.
type sockets interface {
	Receive(fd int32, b []byte) (int, error)
	Peek(fd int32, b []byte) (int, error)
	Discard(fd int32, n int) (int, error)
	Send(fd int32, b []byte) (int, error)
	Splice(from, to int32, most int) (int, error)
	SendFIN(fd int32) error
	LimitPacing(fd int32, rate config.Rate)
	EnableKeepalive(fd int32, after time.Duration)
	TakeError(fd int32) error
	Await(fd int32, n int)
	Unread(fd int32) uint32
	Unacked(fd int32) uint32
	Info(fd int32) call.TCPInfo
	LocalAddr(fd int32) netip.AddrPort
	Close(fd int32)
	Reset(fd int32)
}
