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
	Route    string
	Client   netip.AddrPort
	Peer     netip.AddrPort // as in Record
	Dst      netip.AddrPort
	Origin   netip.AddrPort // the zero value: none is reached yet
	Waiting  bool           // in the queue of its route
	Age      time.Duration
	Idle     time.Duration // since the last byte or datagram, in either direction
	ToOrigin uint64        // bytes of payload
	ToClient uint64
}

// Lister begins a list of the conns of one event loop. The function that it returns appends the next
// few of them to page, and none after the last.
type Lister func() (more func(page []Conn) []Conn)

// PageSize is how many conns a Lister's function appends at most, so that the loop's other conns wait
// no longer than about 25 µs.
const PageSize = 256

// Offer adds the conns of one more loop to Conns, until cancel. Once cancel has returned, list is
// not running and will not be called.
func (l *Live) Offer(list Lister) (cancel func()) { return l.listers.add(list) }

// Conns yields all live conns and flows, a page at a time; the page is the iterator's.
// A conn that is live from the beginning of the list to its end is in it once. Only one loop at a
// time is asked, and no lock is held while the page is used.
func (l *Live) Conns(yield func(page []Conn) bool) {
	page := make([]Conn, 0, PageSize)
	for _, key := range l.listers.keys() {
		more := func(page []Conn) []Conn { return page }
		l.listers.use(key, func(list Lister) { more = list() })
		for {
			page = page[:0]
			l.listers.use(key, func(Lister) { page = more(page) })
			if len(page) == 0 {
				break
			}
			if !yield(page) {
				return
			}
		}
	}
}
