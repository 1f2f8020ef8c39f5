package route

import (
	"net/netip"
	"time"

	"anyport/config"
)

// Conn is a live conn or flow, as it was at one moment.
type Conn struct {
	ID       ID
	Protocol config.Protocol
	State    ConnState
	Route    string
	Client   netip.AddrPort
	Peer     netip.AddrPort // as in Record
	Dst      netip.AddrPort
	Origin   netip.AddrPort // the zero value: none is reached yet
	Age      time.Duration
	Idle     time.Duration // since the last byte or datagram, in either direction
	ToOrigin uint64        // bytes of payload
	ToClient uint64
	Path     FastReason // of flows: FastForwarded, or why their datagrams pass user space
}

// ConnState is where a live conn or flow is in its life.
type ConnState uint8

// The states.
const (
	Naming     ConnState = iota // its PROXY header has not come yet
	Waiting                     // in the queue of its route
	Connecting                  // an origin is being dialled
	Open                        // an origin has accepted, or has answered a flow
	HalfClosed                  // one side has closed, and the other may still send
	Unanswered                  // a flow without an answer of its origin
	Parked                      // there are no file descriptors for it yet
	ConnStates
)

func (s ConnState) String() string {
	return [ConnStates]string{"naming", "waiting", "connecting", "open", "half_closed", "unanswered", "parked"}[s]
}

// Loop is what an event loop answers about its conns. Other goroutines call it; the loop itself reads
// and ends them, a page at a time.
type Loop struct {
	List Lister
	End  Ender
	// Count brings the counters up to date, with what the kernel has forwarded by itself; nil: they are.
	Count func()
}

// Ender ends the conns of one event loop that match, with the verdict Killed, and returns their number.
// match runs on the loop's goroutine.
type Ender func(match func(*Conn) bool) (ended int)

// Lister begins a list of the conns of one event loop. The function that it returns appends the next
// few of them to page, and none after the last.
type Lister func() (more func(page []Conn) []Conn)

// PageSize is how many conns a Lister's function appends at most, so that the loop's other conns wait
// no longer than about 25 µs.
const PageSize = 256

// Offer adds the conns of one more loop, until cancel. Once cancel has returned, the loop is not asked
// and will not be asked.
func (l *Live) Offer(loop Loop) (cancel func()) { return l.loops.add(loop) }

// Kill ends all live conns and flows that match, and returns their number. match is called by the
// loops, one loop at a time.
func (l *Live) Kill(match func(*Conn) bool) (ended int) {
	for _, key := range l.loops.keys() {
		l.loops.use(key, func(loop Loop) { ended += loop.End(match) })
	}
	return ended
}

// CountForwarded brings the counters of all routes up to date. It is called before they are read.
func (l *Live) CountForwarded() {
	for _, key := range l.loops.keys() {
		l.loops.use(key, func(loop Loop) {
			if loop.Count != nil {
				loop.Count()
			}
		})
	}
}

// Conns yields all live conns and flows, a page at a time; the page is the iterator's.
// A conn that is live from the beginning of the list to its end is in it once. Only one loop at a
// time is asked, and no lock is held while the page is used.
func (l *Live) Conns(yield func(page []Conn) bool) {
	page := make([]Conn, 0, PageSize)
	for _, key := range l.loops.keys() {
		more := func(page []Conn) []Conn { return page }
		l.loops.use(key, func(loop Loop) { more = loop.List() })
		for {
			page = page[:0]
			l.loops.use(key, func(Loop) { page = more(page) })
			if len(page) == 0 {
				break
			}
			if !yield(page) {
				return
			}
		}
	}
}
