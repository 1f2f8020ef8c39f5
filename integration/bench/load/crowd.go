package load

import (
	"time"

	"golang.org/x/sys/unix"
)

// crowd is askers that one goroutine serves.
type crowd struct {
	*poller
	all  []*asker
	byFD map[int]*asker
}

// newCrowd opens a socket for about every hundred flows. Each socket keeps the given number
// of questions under way, and a question is a train of datagrams.
func newCrowd(job Job, flows, questions, train int) (*crowd, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	c, in, ports := &crowd{poller: p, byFD: map[int]*asker{}}, newInbox(), echoUDP
	if job.OnePort {
		ports.count = 1
	}
	for first := 0; first < flows; first += flowsPerSocket {
		a, err := newAsker(job, len(c.all), in)
		if err != nil {
			c.close()
			return nil, err
		}
		c.all, c.byFD[a.fd] = append(c.all, a), a
		if err := c.add(a.fd, unix.EPOLLIN); err != nil {
			c.close()
			return nil, err
		}
		for flow := range min(flowsPerSocket, flows-first) {
			for range questions {
				a.plan(job.dst(flow, ports), train)
			}
		}
	}
	return c, nil
}

// close also works on a crowd of which only a part was opened.
func (c *crowd) close() {
	for _, a := range c.all {
		a.Close()
	}
	c.poller.close()
}

// serve receives answers, and gives up questions that were asked too long ago, until the
// load is over. For each finished question it calls the callback, and sends what that has
// asked.
func (c *crowd) serve(over func() bool, done func(a *asker, i int, now time.Time)) {
	for swept := time.Now(); !over(); {
		for _, event := range c.wait(pollFor) {
			a, now := c.byFD[int(event.Fd)], time.Now()
			for m := range a.read {
				a.take(m, func(i int) { done(a, i, now) })
			}
			a.flush()
		}
		if now := time.Now(); now.Sub(swept) > lostAfter {
			swept = now
			for _, a := range c.all {
				a.sweep(now, func(i int) { done(a, i, now) })
				a.flush()
			}
		}
	}
}
