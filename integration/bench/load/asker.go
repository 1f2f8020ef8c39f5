package load

import (
	"encoding/binary"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/ipv4"
)

// asker is one client socket and the questions that are on their way from it, each
// a train of datagrams that all carry the question's number.
type asker struct {
	*socket
	*tally
	size      int
	questions []question
}

type question struct {
	dst     *net.UDPAddr
	train   []byte
	pending int // datagrams that were not answered yet
	asked   time.Time
}

// lostAfter is how long an answer may take.
const lostAfter = 300 * time.Millisecond

// newAsker opens the socket of client i.
func newAsker(job Job, i int, t *tally) (*asker, error) {
	s, err := openUDP(netip.AddrPortFrom(job.Clients[i%len(job.Clients)], 0))
	return &asker{socket: s, tally: t, size: job.Size}, err
}

// plan adds a question of so many datagrams for a dst.
func (a *asker) plan(dst netip.AddrPort, datagrams int) {
	train := make([]byte, a.size*datagrams)
	for at := 0; at < len(train); at += a.size {
		binary.BigEndian.PutUint32(train[at:], uint32(len(a.questions)))
	}
	a.questions = append(a.questions, question{dst: net.UDPAddrFromAddrPort(dst), train: train})
}

// ask puts a question into the next batch.
func (a *asker) ask(i int, now time.Time) {
	q := &a.questions[i]
	q.pending, q.asked = len(q.train)/a.size, now
	a.send(q.train, a.size, q.dst)
}

// take counts the answers of a message, and calls each question that has now been
// answered in full: a proxy may make a train of answers to several.
func (a *asker) take(m ipv4.Message, done func(i int)) {
	for at := 0; at+a.size <= m.N; at += a.size {
		i := int(binary.BigEndian.Uint32(m.Buffers[0][at:]))
		if i >= len(a.questions) || !same(m.Addr, a.questions[i].dst) {
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

// same reports whether an answer came from where the question went.
func same(from net.Addr, dst *net.UDPAddr) bool {
	addr, ok := from.(*net.UDPAddr)
	return ok && addr.Port == dst.Port && addr.IP.Equal(dst.IP)
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
