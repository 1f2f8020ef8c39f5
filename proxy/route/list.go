package route

import (
	"net/netip"
	"sync"
	"time"

	"anyport/config"
)

// Conn is a live conn or flow, as it was at one moment.
type Conn struct {
	Protocol config.Protocol
	Route    string
	Client   netip.AddrPort
	Dst      netip.AddrPort
	Origin   netip.AddrPort // the zero value: none is reached yet
	Age      time.Duration
	Idle     time.Duration // since the last byte or datagram, in either direction
	ToOrigin uint64        // bytes of payload
	ToClient uint64
}

// Lister begins a list of the conns of one event loop. What it returns appends the next
// few of them to page, and none after the last.
type Lister func() (more func(page []Conn) []Conn)

// PageSize is how many conns a Lister's function appends at most, so that none of the
// loop's other conns waits for long: for some 25 µs.
const PageSize = 256

// listers are the loops that have conns.
type listers struct {
	mu  sync.RWMutex // held for reading while one of them works, and for writing to add or take one away
	all map[*Lister]bool
}

// Offer has Conns list the conns of one more loop, until it is cancelled. Once cancel
// has returned list is not at work any more.
func (l *Live) Offer(list Lister) (cancel func()) {
	s, key := &l.listers, &list
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[*Lister]bool{}
	}
	s.all[key] = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.all, key)
	}
}

// Conns yields all live conns and flows, a page at a time; the page is the iterator's.
// A conn that lives from the beginning to the end is in it once.
func (l *Live) Conns(yield func(page []Conn) bool) {
	page := make([]Conn, 0, PageSize)
	for _, key := range l.listers.keys() {
		more := func(page []Conn) []Conn { return page }
		l.listers.use(key, func() { more = (*key)() })
		for {
			page = page[:0]
			l.listers.use(key, func() { page = more(page) })
			if len(page) == 0 {
				break
			}
			if !yield(page) {
				return
			}
		}
	}
}

func (s *listers) keys() (keys []*Lister) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for key := range s.all {
		keys = append(keys, key)
	}
	return keys
}

// use calls what, unless the loop has ended.
func (s *listers) use(key *Lister, what func()) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.all[key] {
		what()
	}
}
