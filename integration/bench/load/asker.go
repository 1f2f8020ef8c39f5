package load

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// asker is one client socket and the questions that are on their way from it, each
// a train of datagrams that all carry the question's number.
type asker struct {
	*socket
	*tally
	size      int
	questions []question
}

// question is asked again and again: when it is answered in full, or given up, it is free for the next time.
type question struct {
	dst     netip.AddrPort
	train   []byte
	pending int // datagrams that were not answered yet
	asked   time.Time
}

// lostAfter is how long an answer may take.
const lostAfter = 300 * time.Millisecond

// newAsker opens the socket of client i.
func newAsker(job Job, i int, in *batch) (*asker, error) {
	s, err := openUDP(netip.AddrPortFrom(job.Clients[i%len(job.Clients)], 0), in)
	return &asker{socket: s, size: job.Size}, err
}

// plan adds a question for a dst, of the given number of datagrams.
func (a *asker) plan(dst netip.AddrPort, datagrams int) {
	train := make([]byte, a.size*datagrams)
	for at := 0; at < len(train); at += a.size {
		binary.BigEndian.PutUint32(train[at:], uint32(len(a.questions)))
	}
	a.questions = append(a.questions, question{dst: dst, train: train})
}

// ask puts a question into the next batch.
func (a *asker) ask(i int, now time.Time) {
	q := &a.questions[i]
	q.pending, q.asked = len(q.train)/a.size, now
	a.send(q.train, a.size, q.dst)
}

// askAll asks every question.
func (a *asker) askAll() {
	now := time.Now()
	for i := range a.questions {
		a.ask(i, now)
	}
	a.flush()
}

// take counts the answers of a message, and calls each question that has now been
// answered in full: a proxy may make a train of answers to several.
func (a *asker) take(m message, done func(i int)) {
	for at := 0; at+a.size <= len(m.bytes); at += a.size {
		i := int(binary.BigEndian.Uint32(m.bytes[at:]))
		if i >= len(a.questions) || m.from != a.questions[i].dst {
			a.wrong.Add(1)
			continue
		}
		q := &a.questions[i]
		if q.pending == 0 { // given up before
			continue
		}
		a.ops.Add(1)
		q.pending--
		if q.pending == 0 {
			done(i)
		}
	}
}

// sweep gives up the questions that were asked too long ago, and calls each.
func (a *asker) sweep(now time.Time, lost func(i int)) {
	for i := range a.questions {
		if q := &a.questions[i]; q.pending > 0 && now.Sub(q.asked) > lostAfter {
			a.failed.Add(int64(q.pending))
			q.pending = 0
			lost(i)
		}
	}
}
