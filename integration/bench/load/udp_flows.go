package load

import "time"

// udpFlows begins Count flows as fast as they are answered, each with one datagram,
// and weighs what they leave behind.
func udpFlows(job Job) (Result, error) {
	c, err := newCrowd(job, job.Count, 1, 1)
	if err != nil {
		return Result{}, err
	}
	defer c.close()
	light, err := weigh(job)
	if err != nil {
		return Result{}, err
	}
	before, err := read(job)
	if err != nil {
		return Result{}, err
	}
	tallies := make([]tally, 1)
	c.begin(&tallies[0])
	after, err := read(job)
	if err != nil {
		return Result{}, err
	}
	heavy, err := weigh(job)
	var r Result
	r.add(tallies)
	after.since(before, &r)
	heavy.since(light, &r)
	return r, err
}

// udpChurn has Count flows ask one question each, and begins again with the first of them once the last
// has asked: by then the proxy has ended it, if the flows are many enough.
func udpChurn(job Job) (Result, error) {
	c, err := newCrowd(job, job.Count, 1, 1)
	if err != nil {
		return Result{}, err
	}
	defer c.close()
	return measure(job, 1, func(_ int, t *tally, m *window) {
		c.ask(t, func(i int) *asker { return c.all[i%len(c.all)] }, m.over)
	})
}

// beginners is how many sockets begin flows at once: few enough that no buffer
// overflows, many enough that the proxy never waits.
const beginners = 4

// begin asks every question once, and returns when each is answered or lost.
func (c *crowd) begin(t *tally) {
	c.ask(t, func(i int) *asker {
		if i < len(c.all) {
			return c.all[i]
		}
		return nil
	}, func() bool { return false })
}

// ask has one asker after the other ask all its questions, until there is none (nil) and all are answered
// or lost, or until it is over.
func (c *crowd) ask(t *tally, nth func(i int) *asker, over func() bool) {
	open, asked := map[*asker]int{}, 0
	next := func() {
		if a := nth(asked); a != nil {
			a.tally, open[a] = t, len(a.questions)
			a.askAll()
			asked++
		}
	}
	for range beginners {
		next()
	}
	c.serve(func() bool { return len(open) == 0 || over() }, func(a *asker, _ int, _ time.Time) {
		if open[a]--; open[a] == 0 {
			delete(open, a)
			next()
		}
	})
}
