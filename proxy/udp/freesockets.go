package udp

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"anyport/proxy/route"
)

// Bounds of the free sockets of one loop.
const (
	// mostFree is how many there are at most: 12 MB of the kernel's memory. In steady state as many
	// flows end as begin, so a few thousand are enough for any rate.
	mostFree = 4096
	// leastFree is how many to one origin there are before one of them is used again: see freeSockets.
	leastFree = 1024
	// freeFor is how long one waits for a flow: the sockets of a burst are closed soon.
	freeFor = 10 * time.Second
	// freeLook is the time between two looks for those that have waited too long. Each closes at most
	// closedALook.
	freeLook    = time.Second
	closedALook = 512
	// usesOfSocket is how many flows a socket has on average before it is closed: no port, and no local
	// address that the kernel has chosen, stays in use for hours.
	usesOfSocket = 64
)

// freeSockets are origin sockets whose flows have ended, still connected and watched by epoll. The next
// flow to the same origin takes one of them, and saves about ten microseconds in socket, setsockopt,
// connect, epoll_ctl and close. It belongs to one loop, whose goroutine alone touches it.
//
// The danger is a late answer, which would reach the client of the next flow. So only the socket of a
// flow whose one question had its one answer becomes free (flow.Table.LeavesSocket), after the idle
// timeout has passed without another datagram: nobody waits for anything there. What arrives on a free
// socket is dropped and counted, and the socket is closed, since its origin still talks to the former
// client. The loop looks at the queue of a free socket once more before it takes it, in the batch that
// the new flow's first datagram is sent with: see takeFree. What remains is an origin that answers twice,
// and the second time after all that. Without free sockets that answer would reach a stranger as well:
// the kernel gives the port of a closed socket to the next one, and at 30,000 flows a second each of its
// 28,232 ports comes again within a second.
//
// One of at least leastFree is taken, at random. That keeps ports hard to guess for somebody who knows
// the port of a flow of his own that has just ended. It also makes a socket wait: at fewer than leastFree
// flows in freeFor, none is used again.
type freeSockets struct {
	least  int // leastFree
	uses   int // usesOfSocket
	lists  map[socketUse]*freeList
	places []int // of each fd in its list
	n      int
	look   time.Duration // when to look for sockets to close
	batch  uint32        // counts batches of new flows: see freeList.drawn
}

// socketUse is what makes one socket as good as another: all that was decided when it was opened. A
// reload makes new routes, so a free socket never outlives its route, its origin or its source.
type socketUse struct {
	route        *route.Route
	to           netip.AddrPort
	queuesErrors bool // see datagram.WantErrors
}

// freeList are the free sockets of one use.
type freeList struct {
	use      socketUse
	counters *route.Counters // of the route
	sockets  []freeSocket
	drawn    int    // how many of them, the last ones, are to be taken next: they were empty
	drawnIn  uint32 // in this batch: what was seen in one before does not count
}

type freeSocket struct {
	fd    int
	since time.Duration
}

func newFreeSockets() freeSockets {
	return freeSockets{least: leastFree, uses: usesOfSocket, lists: map[socketUse]*freeList{}}
}

// hasRoom reports whether a socket may be put there. Now and then it may not, though there is room: see
// usesOfSocket.
func (s *freeSockets) hasRoom() bool { return s.n < mostFree && rand.IntN(s.uses) > 0 }

// put adds a socket, and returns the list that it is in.
func (s *freeSockets) put(use socketUse, counters *route.Counters, fd int, now time.Duration) *freeList {
	list := s.lists[use]
	if list == nil {
		list = &freeList{use: use, counters: counters}
		s.lists[use] = list
	}
	for len(s.places) <= fd {
		s.places = append(s.places, 0)
	}
	if s.n == 0 {
		s.look = now + freeLook
	}
	s.places[fd] = len(list.sockets)
	list.sockets = append(list.sockets, freeSocket{fd, now})
	list.drawn = 0
	s.n++
	return list
}

// draw moves sockets to the end of a list, at random: as many as may be taken, at most that number. The
// caller removes those to which something has come, and the others are taken first in this batch.
func (s *freeSockets) draw(list *freeList, most int) []freeSocket {
	n := len(list.sockets)
	list.drawn, list.drawnIn = max(0, min(most, n-s.least+1)), s.batch
	for end := n - 1; end >= n-list.drawn; end-- {
		s.swap(list, rand.IntN(end+1), end)
	}
	return list.sockets[n-list.drawn:]
}

// takeDrawn removes a socket that was drawn in this batch, and returns it. It is not ok if there is none, or
// too few are left to choose from.
func (s *freeSockets) takeDrawn(list *freeList) (fd int, ok bool) {
	last := len(list.sockets) - 1
	if list.drawn == 0 || list.drawnIn != s.batch || last+1 < s.least {
		return -1, false
	}
	fd = list.sockets[last].fd
	s.remove(list, fd)
	return fd, true
}

// swap exchanges the places of two sockets.
func (s *freeSockets) swap(list *freeList, a, b int) {
	all := list.sockets
	all[a], all[b] = all[b], all[a]
	s.places[all[a].fd], s.places[all[b].fd] = a, b
}

// remove removes a socket from its list: the last one gets its place. So one less of the last ones is drawn,
// whether it is that socket or not.
func (s *freeSockets) remove(list *freeList, fd int) {
	last := len(list.sockets) - 1
	s.swap(list, s.places[fd], last)
	list.sockets = list.sockets[:last]
	list.drawn = max(0, list.drawn-1)
	s.n--
	if last == 0 {
		delete(s.lists, list.use)
	}
}

// removeSome removes up to most sockets that became free before since, and returns their fds.
func (s *freeSockets) removeSome(since time.Duration, most int) (fds []int) {
	for _, list := range s.lists {
		for i := len(list.sockets) - 1; i >= 0 && len(fds) < most; i-- { // from the end: remove moves the last one
			if one := list.sockets[i]; one.since < since {
				s.remove(list, one.fd)
				fds = append(fds, one.fd)
			}
		}
	}
	return fds
}
