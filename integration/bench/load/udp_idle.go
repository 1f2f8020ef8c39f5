package load

import "time"

// udpIdle has Count flows ask Greet times each, weighs them, and then does nothing for the measured time.
// Ops are the flows that were answered to the last.
func udpIdle(job Job) (Result, error) {
	c, err := newCrowd(job, job.Count, 1, 1)
	if err != nil {
		return Result{}, err
	}
	defer c.close()
	light, err := weigh(job)
	if err != nil {
		return Result{}, err
	}
	last := make([]tally, 1)
	for range job.Greet {
		last[0] = tally{}
		c.begin(&last[0])
	}
	heavy, err := weigh(job)
	if err != nil {
		return Result{}, err
	}
	before, err := read(job)
	if err != nil {
		return Result{}, err
	}
	time.Sleep(job.Measure)
	after, err := read(job)
	var r Result
	r.add(last)
	after.since(before, &r)
	heavy.since(light, &r)
	return r, err
}
