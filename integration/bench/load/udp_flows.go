package load

import (
	"sync"
	"time"
)

// udpFlows begins Count flows as fast as they are answered, each with one datagram,
// and weighs what they leave behind.
func udpFlows(job Job) (Result, error) {
	askers, tallies, err := planFlows(job)
	defer func() {
		for _, a := range askers {
			a.Close()
		}
	}()
	if err != nil {
		return Result{}, err
	}
	light, err := weigh(job)
	if err != nil {
		return Result{}, err
	}
	before, err := read(job)
	if err != nil {
		return Result{}, err
	}
	beginAll(askers)
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

// planFlows opens a socket for every hundred flows or so.
func planFlows(job Job) (askers []*asker, tallies []tally, err error) {
	tallies = make([]tally, (job.Count+flowsPerSocket-1)/flowsPerSocket)
	for i := range tallies {
		a, err := newAsker(job, i, &tallies[i])
		if err != nil {
			return askers, tallies, err
		}
		askers = append(askers, a)
		for flow := range min(flowsPerSocket, job.Count-i*flowsPerSocket) {
			a.plan(job.dst(flow, echoUDP), 1)
		}
	}
	return askers, tallies, nil
}

// beginners is how many sockets begin flows at once: few enough that no buffer
// overflows, many enough that the proxy never waits.
const beginners = 4

func beginAll(askers []*asker) {
	queue := make(chan *asker, len(askers))
	for _, a := range askers {
		queue <- a
	}
	close(queue)
	var group sync.WaitGroup
	for range beginners {
		group.Go(func() {
			for a := range queue {
				a.begin()
			}
		})
	}
	group.Wait()
}

// begin asks every question once, and returns when each is answered or lost.
func (a *asker) begin() {
	for i := range a.questions {
		a.ask(i, time.Now())
	}
	a.flush()
	for open := len(a.questions); open > 0; {
		a.udp.SetReadDeadline(time.Now().Add(lostAfter))
		messages, _ := a.read()
		for _, m := range messages {
			a.take(m, func(int) { open-- })
		}
		if len(messages) == 0 {
			a.sweep(time.Now(), func(int) { open-- })
		}
	}
}
