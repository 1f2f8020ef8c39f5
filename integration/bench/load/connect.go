package load

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// askSize is the length of a question, and of its answer.
const askSize = 64

// tcpWorkers is how many threads the client asks with.
const tcpWorkers = 2

// connect opens conns as fast as they come, Conns of them at once: each asks, reads
// the answer and closes.
func connect(job Job) (Result, error) { return callAll(job, echoTCP, false) }

// scan asks for ports that nobody serves, as a scanner does: each conn is refused, or accepted and closed.
func scan(job Job) (Result, error) { return callAll(job, nobodyTCP, true) }

func callAll(job Job, ports portRange, refuse bool) (Result, error) {
	var next atomic.Int64
	return measure(job, tcpWorkers, func(_ int, t *tally, m *window) {
		p, err := newPoller()
		if err != nil {
			t.failed.Add(1)
			return
		}
		c := &caller{job: job, ports: ports, refuse: refuse, poller: p, tally: t, next: &next, open: make(map[int]bool)}
		c.run(m)
	})
}

// caller is one thread's share of connect.
type caller struct {
	job Job
	*poller
	*tally
	ports  portRange
	refuse bool          // the conns are to be refused, or closed without an answer
	next   *atomic.Int64 // turns through the addresses and ports of dst
	open   map[int]bool  // conns by socket: whether they have asked
	buf    [askSize]byte
}

// run keeps its share of Conns under way until the measured time is over.
func (c *caller) run(m *window) {
	defer c.close()
	for !m.over() {
		for len(c.open) < c.job.Conns/tcpWorkers {
			if !c.call() {
				break
			}
		}
		for _, event := range c.wait(pollFor) {
			c.step(int(event.Fd), event.Events)
		}
	}
	for fd := range c.open {
		hangUp(fd)
	}
}

// call begins one conn. It reports false if the kernel refuses: no local port is free, or no descriptor.
func (c *caller) call() bool {
	fd, err := dialing(c.job.dst(int(c.next.Add(1)), c.ports))
	if err != nil {
		c.failed.Add(1)
		return false
	}
	c.open[fd] = false
	c.add(fd, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLET)
	return true
}

// step takes a conn from connected to asked to answered.
func (c *caller) step(fd int, events uint32) {
	switch asked := c.open[fd]; {
	case c.refuse && events&(unix.EPOLLERR|unix.EPOLLHUP|unix.EPOLLIN) != 0:
		c.end(fd, &c.ops)
	case c.refuse: // accepted: the proxy has yet to close it
	case events&(unix.EPOLLERR|unix.EPOLLHUP) != 0:
		c.end(fd, &c.failed)
	case !asked && events&unix.EPOLLOUT != 0:
		c.open[fd] = true
		transmit(fd, c.buf[:])
	case asked && events&unix.EPOLLIN != 0:
		if n, _ := receive(fd, c.buf[:]); n == askSize {
			c.end(fd, &c.ops)
		} else {
			c.end(fd, &c.failed)
		}
	}
}

// end closes a conn and counts it, as answered or as failed.
func (c *caller) end(fd int, count *atomic.Int64) {
	count.Add(1)
	delete(c.open, fd)
	hangUp(fd)
}
