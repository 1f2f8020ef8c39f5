package load

// flowsPerSocket is how many flows one client socket has: one for each port of the
// origin.
var flowsPerSocket = echoUDP.count

// udpEcho keeps Window datagrams of each flow on their way.
func udpEcho(job Job) (Result, error) {
	c, err := newCrowd(job, job.Flows, max(1, job.Window/job.Train), job.Train)
	if err != nil {
		return Result{}, err
	}
	defer c.close()
	return measure(job, 1, func(_ int, t *tally, m *window) {
		c.rally(t, m)
	})
}

// rally asks every question again as soon as it was answered or given up.
func (c *crowd) rally(t *tally, m *window) {
	for _, a := range c.all {
		a.tally = t
		a.askAll()
	}
	c.serve(m.over, (*asker).ask)
}
