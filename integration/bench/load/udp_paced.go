package load

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// udpPaced asks Rate times a second over Flows flows, no matter what comes back,
// while another client floods the proxy, if the job says so.
func udpPaced(job Job) (Result, error) {
	var before footprint
	var err error
	if job.Spoof > 0 {
		if before, err = weigh(job); err != nil {
			return Result{}, err
		}
	}
	beat, err := newBeat(job)
	if err != nil {
		return Result{}, err
	}
	defer beat.close()
	if err := beat.greet(); err != nil {
		return Result{}, err
	}
	flood, err := startFlood(job)
	if err != nil {
		return Result{}, err
	}
	var lost atomic.Int64
	r, err := measure(job, 1, func(_ int, t *tally, m *window) {
		beat.tally = t
		lost.Store(beat.run(m))
	})
	flood.stop()
	r.Failed += float64(lost.Load())
	if err == nil && job.Spoof > 0 {
		var after footprint
		after, err = weigh(job)
		after.since(before, &r)
	}
	return r, err
}

// beat asks at a fixed rate. Each datagram carries its flow and the time it left.
type beat struct {
	*socket
	*tally
	*poller
	job   Job
	dsts  []netip.AddrPort // of each flow
	start time.Time        // the datagrams carry the time since then
	sent  int64            // by the goroutine of run
	taken int64            // by the receiver; run reads it after that has ended
}

// newBeat has one socket for all flows: they differ in their dst.
func newBeat(job Job) (*beat, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	s, err := openUDP(job.anySource(), newInbox())
	if err != nil {
		p.close()
		return nil, err
	}
	b := &beat{socket: s, poller: p, job: job}
	for flow := range job.Flows {
		b.dsts = append(b.dsts, job.dst(flow, echoUDP))
	}
	return b, p.add(s.fd, unix.EPOLLIN)
}

func (b *beat) close() {
	b.Close()
	b.poller.close()
}

// greet asks on each flow until it gets an answer: the measurement is of flows that the
// proxy has, not of new ones.
func (b *beat) greet() error {
	open := make(map[int]bool)
	for flow := range b.dsts {
		open[flow] = true
	}
	for end := time.Now().Add(patience); len(open) > 0; {
		if time.Now().After(end) {
			return fmt.Errorf("%d of %d flows have no answer", len(open), len(b.dsts))
		}
		for flow := range open {
			b.send(binary.BigEndian.AppendUint32(nil, uint32(flow)), 4, b.dsts[flow])
		}
		b.flush()
		for again := time.Now().Add(lostAfter); len(open) > 0 && time.Now().Before(again); {
			b.wait(pollFor)
			for m := range b.read {
				delete(open, int(binary.BigEndian.Uint32(m.bytes)))
			}
		}
	}
	return nil
}

// run returns how many answers never came.
func (b *beat) run(m *window) int64 {
	b.start = time.Now()
	var sentAll atomic.Bool
	var receiver sync.WaitGroup
	receiver.Go(func() { // ends with sentAll
		for !sentAll.Load() {
			b.wait(pollFor)
			for message := range b.read {
				b.takeAll(message, m)
			}
		}
	})
	for !m.over() {
		b.sendDue(time.Since(b.start))
		time.Sleep(time.Millisecond)
	}
	time.Sleep(drain)
	sentAll.Store(true)
	receiver.Wait()
	return b.sent - b.taken
}

// sendDue sends all that the rate asks for up to now.
func (b *beat) sendDue(now time.Duration) {
	for due := int64(now.Seconds() * float64(b.job.Rate)); b.sent < due; b.sent++ {
		flow := int(b.sent) % len(b.dsts)
		datagram := make([]byte, b.job.Size)
		binary.BigEndian.PutUint32(datagram, uint32(flow))
		binary.BigEndian.PutUint64(datagram[4:], uint64(time.Since(b.start)))
		b.send(datagram, b.job.Size, b.dsts[flow])
	}
	b.flush()
}

// takeAll takes each datagram of a train.
func (b *beat) takeAll(message message, m *window) {
	for at := 0; at+b.job.Size <= len(message.bytes); at += b.job.Size {
		b.take(message.bytes[at:], message.from, m)
	}
}

// take counts an answer, if it comes from the dst of its flow.
func (b *beat) take(answer []byte, from netip.AddrPort, m *window) {
	flow := int(binary.BigEndian.Uint32(answer))
	if flow >= len(b.dsts) || from != b.dsts[flow] {
		b.wrong.Add(1)
		return
	}
	b.taken++
	b.ops.Add(1)
	if m.open.Load() {
		sent := time.Duration(binary.BigEndian.Uint64(answer[4:]))
		b.latencies = append(b.latencies, time.Since(b.start)-sent)
	}
}
