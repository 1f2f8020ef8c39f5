package udp

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// TestFreeSockets does random things to free sockets, beside a map of them.
func TestFreeSockets(t *testing.T) {
	uses := []socketUse{{}, {queuesErrors: true}, {to: netip.MustParseAddrPort("10.0.0.5:53")}}
	type entry struct {
		use   socketUse
		since time.Duration
	}
	free, all, drawn := newFreeSockets(), map[int]entry{}, map[int]int{}
	seen := map[int]bool{} // in this batch, since the socket became free
	free.least = 3
	count := func(match func(entry) bool) (n int) {
		for _, e := range all {
			if match(e) {
				n++
			}
		}
		return n
	}
	forget := func(fd int, ok func(entry) bool) {
		e, known := all[fd]
		if !known || !ok(e) {
			t.Fatalf("socket %d is %+v, %v", fd, e, known)
		}
		delete(all, fd)
		delete(seen, fd)
	}
	for step := range 100_000 {
		now, use := time.Duration(step), uses[rand.IntN(len(uses))]
		of := count(func(e entry) bool { return e.use == use })
		switch fd := rand.IntN(50); rand.IntN(9) {
		case 0: // somebody takes one
			fd, ok := take(&free, use, seen)
			if ok != (of >= free.least) {
				t.Fatalf("of %d sockets %v was taken", of, fd)
			}
			if ok {
				if !seen[fd] {
					t.Fatalf("socket %d was not looked at", fd)
				}
				forget(fd, func(e entry) bool { return e.use == use })
				drawn[fd]++
			}
		case 1: // something has come to one
			if e, known := all[fd]; known {
				free.remove(free.lists[e.use], fd)
				delete(all, fd)
				delete(seen, fd)
			}
		case 2:
			since, most := now-time.Duration(rand.IntN(100)), rand.IntN(5)
			old := count(func(e entry) bool { return e.since < since })
			fds := free.removeSome(since, most)
			for _, fd := range fds {
				forget(fd, func(e entry) bool { return e.since < since })
			}
			if len(fds) != min(old, most) {
				t.Fatalf("%d of %d were removed, want at most %d", len(fds), old, most)
			}
		case 3:
			free.batch++
			clear(seen)
		default:
			if _, known := all[fd]; !known {
				if list := free.put(use, nil, fd, now); list != free.lists[use] {
					t.Fatal("it is in another list")
				}
				all[fd] = entry{use, now}
			}
		}
		if free.n != len(all) {
			t.Fatalf("%d are free, want %d", free.n, len(all))
		}
	}
	if len(drawn) != 50 {
		t.Errorf("%d of 50 sockets were ever taken", len(drawn))
	}
	free.removeSome(math.MaxInt64, math.MaxInt)
	if len(free.lists) != 0 || free.n != 0 {
		t.Errorf("%d lists of %d sockets are left", len(free.lists), free.n)
	}
}

// take is loop.takeFree for sockets that exist only here. It notes those that are looked at.
func take(free *freeSockets, use socketUse, seen map[int]bool) (fd int, ok bool) {
	list := free.lists[use]
	if list == nil {
		return -1, false
	}
	if fd, ok = free.takeDrawn(list); ok {
		return fd, true
	}
	for _, one := range free.draw(list, 1+rand.IntN(4)) {
		seen[one.fd] = true
	}
	return free.takeDrawn(list)
}

// TestFreeSocketsAreDrawn: each of the sockets may be the next.
func TestFreeSocketsAreDrawn(t *testing.T) {
	free, seen := newFreeSockets(), map[int]bool{}
	free.least = 8
	for fd := range 8 {
		free.put(socketUse{}, nil, fd, 1)
	}
	for range 1000 {
		fd, _ := take(&free, socketUse{}, map[int]bool{})
		seen[fd] = true
		free.put(socketUse{}, nil, fd, 1)
	}
	if len(seen) != 8 {
		t.Errorf("%d of 8 were drawn", len(seen))
	}
}

// TestFreeSocketsHaveABound: no more are kept, and none is kept for ever.
func TestFreeSocketsHaveABound(t *testing.T) {
	free, refused := newFreeSockets(), 0
	for range 10_000 {
		if !free.hasRoom() {
			refused++
		}
	}
	if refused < 50 || refused > 500 { // one in 64: 156
		t.Errorf("%d of 10,000 sockets were not kept", refused)
	}
	for fd := range mostFree {
		free.put(socketUse{}, nil, fd, 1)
	}
	if free.hasRoom() {
		t.Error("there is room for one more")
	}
}
