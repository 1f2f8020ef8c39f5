package udp

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"anyport/proxy/flow"
)

// Flow is a flow on its way from one process to another. Its socket goes beside it ([Detach],
// [Arrivals]).
type Flow = flow.Moving

// Detach returns the sockets of flows that leave together, each once, and notes in each flow which
// one is its own.
func Detach(flows []Flow) (sockets []int) {
	places := map[int]int{}
	for i := range flows {
		at, known := places[flows[i].FD]
		if !known {
			at = len(sockets)
			places[flows[i].FD] = at
			sockets = append(sockets, flows[i].FD)
		}
		flows[i].Socket = at
	}
	return sockets
}

// Arrivals are flows that come from another process in parts, and their sockets. A socket that flows
// share comes with each part that has one of these flows, as another file descriptor each time.
type Arrivals struct {
	Flows  []Flow
	shared map[uint64]int // inode of a shared socket → its first file descriptor
}

// Add adds one part: flows that have passed their Check, and the sockets that came with them. On
// error the sockets remain the caller's.
func (a *Arrivals) Add(flows []Flow, sockets []int) error {
	used, shared := make([]bool, len(sockets)), make([]bool, len(sockets))
	for i := range flows {
		at := flows[i].Socket
		if at < 0 || at >= len(sockets) {
			return fmt.Errorf("a flow with socket %d of %d", at, len(sockets))
		}
		used[at], shared[at] = true, shared[at] || flows[i].SharesSocket()
	}
	if slices.Contains(used, false) {
		return fmt.Errorf("%d flows came with %d sockets, and do not use all of them", len(flows), len(sockets))
	}
	for at, fd := range sockets {
		if shared[at] {
			sockets[at] = a.deduplicate(fd)
		}
	}
	for i := range flows {
		flows[i].FD = sockets[flows[i].Socket]
	}
	a.Flows = append(a.Flows, flows...)
	return nil
}

// deduplicate returns the first file descriptor that the socket fd came as, and closes a later one:
// with two of them, each datagram of the socket would wake its loop twice.
func (a *Arrivals) deduplicate(fd int) int {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return fd
	}
	if first, known := a.shared[stat.Ino]; known {
		unix.Close(fd)
		return first
	}
	if a.shared == nil {
		a.shared = map[uint64]int{}
	}
	a.shared[stat.Ino] = fd
	return fd
}

// Close closes the sockets of flows that no process goes on with.
func (a *Arrivals) Close() {
	for _, fd := range Detach(a.Flows) {
		unix.Close(fd)
	}
	*a = Arrivals{}
}
