package load

import "time"

// flowsPerSocket is how many flows one client socket has: one for each port of the
// origin.
var flowsPerSocket = echoUDP.count

// udpEcho keeps Window datagrams of each flow on their way.
func udpEcho(job Job) (Result, error) {
	sockets := (job.Flows + flowsPerSocket - 1) / flowsPerSocket
	return measure(job, sockets, func(i int, t *tally, m *window) {
		a, err := newAsker(job, i, t)
		if err != nil {
			t.failed.Add(1)
			return
		}
		defer a.Close()
		for flow := range min(job.Flows, flowsPerSocket) {
			for range max(1, job.Window/job.Train) {
				a.plan(job.dst(flow, echoUDP), job.Train)
			}
		}
		a.rally(m)
	})
}

// rally asks every question again as soon as it was answered or given up.
func (a *asker) rally(m *window) {
	for i := range a.questions {
		a.ask(i, time.Now())
	}
	a.flush()
	for swept := time.Now(); !m.over(); {
		a.udp.SetReadDeadline(time.Now().Add(lostAfter))
		messages, _ := a.read()
		now := time.Now()
		for _, message := range messages {
			a.take(message, func(i int) { a.ask(i, now) })
		}
		if now.Sub(swept) > lostAfter {
			swept = now
			a.sweep(now, func(i int) { a.ask(i, now) })
		}
		a.flush()
	}
}
