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

// beginners is how many sockets begin flows at once: few enough that no buffer
// overflows, many enough that the proxy never waits.
const beginners = 4

// begin asks every question once, and returns when each is answered or lost.
func (c *crowd) begin(t *tally) {
	waiting, open := c.all, map[*asker]int{}
	next := func() {
		if len(waiting) > 0 {
			a := waiting[0]
			waiting = waiting[1:]
			a.tally, open[a] = t, len(a.questions)
			a.askAll()
		}
	}
	for range beginners {
		next()
	}
	c.serve(func() bool { return len(open) == 0 }, func(a *asker, _ int, _ time.Time) {
		if open[a]--; open[a] == 0 {
			delete(open, a)
			next()
		}
	})
}
