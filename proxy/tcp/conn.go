package tcp

import (
	"net/netip"
	"time"

	"anyport/proxy/origin"
	"anyport/proxy/route"
	"anyport/proxy/tcp/buffers"
	"anyport/proxy/tcp/pipes"
	"anyport/proxy/tcp/wheel"
)

// state is where a conn is in its life.
type state uint8

const (
	dialling state = iota // an origin was asked, nothing was sent to it
	relaying
	closed
)

// conn is one conn: 288 bytes and two fds while it is idle. The loop that
// accepted it owns it until its end.
type conn struct {
	timer           wheel.Timer[*conn]
	slot            uint32
	owner           *clientHolder // its client, with other conns of it:
	siblings        siblings
	generation      uint32 // tells its events from those of the conn that had the slot before
	state           state
	queued          bool // on the loop's ready list
	moving          bool // another process may be about to have it: nothing is done for it
	keepalive       bool // keepalive probes are on, on both sockets
	sawOtherFailure bool // an origin has failed in another way than by refusing

	ends [2]end // clientEnd, originEnd
	ways [2]way // route.ToOrigin, route.ToClient: way d goes from ends[d] to ends[1-d]

	route  *route.Route
	origin *origin.Origin   // the one being dialled or spoken to
	tried  []*origin.Origin // those that failed before it

	client, dst netip.AddrPort

	// Moments since the loop began.
	began   time.Duration
	dialled time.Duration // the dial under way
	active  time.Duration // the last byte, in either direction
	drained time.Duration // when drain_timeout cuts it; 0: not draining

	queue uint32 // what the kernel still had to deliver at the last deadline, in bytes
}

const (
	clientEnd = iota
	originEnd
)

// end is one socket of a conn, and what epoll has told of it. Events come once,
// at the edge; what they said stays here until a call finds it to be over.
type end struct {
	fd       int32 // -1: none
	readable bool
	writable bool
	hungUp   bool // its FIN has come: a short read is not the last
	urgent   bool // it sends urgent data: a short read is not the last, splice gets stuck
	failed   bool // RST, or an error that ends it as well
	vanished bool // it failed because the peer answers nothing
}

// way is one direction of a conn.
type way struct {
	held     *buffers.Buffer // read and not taken yet; nil: nothing
	pipe     *pipes.Pipe     // borrowed while the way carries bulk; nil: none
	bytes    uint64          // payload
	streak   uint8           // reads in a row that were large
	ended    bool            // FIN was read
	finished bool            // FIN was passed on
}

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
	EnableKeepalive(fd int32, after time.Duration)
	TakeError(fd int32) error
	Unread(fd int32) uint32
	Unacked(fd int32) uint32
	Close(fd int32)
	Reset(fd int32)
}
