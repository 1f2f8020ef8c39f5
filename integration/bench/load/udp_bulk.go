package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// drain is how long queues may take to empty after the last datagram.
const drain = 300 * time.Millisecond

// udpBulk sends datagrams without answers as fast as the kernel accepts them, and counts
// those that reach the origin.
func udpBulk(job Job) (Result, error) {
	origin, err := net.DialTimeout("tcp", netip.AddrPortFrom(job.Origin, countersIn.port(0)).String(), patience)
	if err != nil {
		return Result{}, err
	}
	defer origin.Close()
	s, err := openUDP(job.anySource(), newInbox())
	if err != nil {
		return Result{}, err
	}
	defer s.Close()

	if err := greet(s, job); err != nil {
		return Result{}, err
	}
	blast(s, job, job.WarmUp)
	time.Sleep(drain)
	counted, err := askCount(origin)
	if err != nil {
		return Result{}, err
	}
	before, err := read(job)
	if err != nil {
		return Result{}, err
	}
	sent, seconds := blast(s, job, job.Measure)
	time.Sleep(drain)
	after, err := read(job)
	if err != nil {
		return Result{}, err
	}
	arrived, err := askCount(origin)
	var r Result
	after.since(before, &r)
	r.Seconds = seconds // the rest of the time is idle
	r.Ops = float64(arrived - counted)
	r.Failed = float64(sent) - r.Ops
	return r, err
}

// greet exchanges small datagrams, as protocols that carry bulk do first.
func greet(s *socket, job Job) error {
	for n, last := 0, time.Now(); n < job.Greet; {
		s.send(make([]byte, 64), 64, job.dst(0, echoUDP))
		s.flush()
		unix.Poll([]unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}, 100)
		for range s.read {
			n, last = n+1, time.Now()
		}
		if time.Since(last) > patience {
			return errors.New("a greeting was not answered")
		}
	}
	return nil
}

// blast sends for a while and returns the number of datagrams.
func blast(s *socket, job Job, span time.Duration) (sent int, seconds float64) {
	train := make([]byte, job.Size*job.Train)
	for at := 0; at < len(train); at += job.Size {
		train[at] = quiet
	}
	dst := job.dst(0, echoUDP)
	start := time.Now()
	for time.Since(start) < span {
		for range udpBatch {
			s.send(train, job.Size, dst)
			sent += job.Train
		}
	}
	return sent, time.Since(start).Seconds()
}

// askCount asks the origin, past the proxy, how many quiet datagrams came.
func askCount(origin net.Conn) (int64, error) {
	origin.SetDeadline(time.Now().Add(patience))
	if _, err := origin.Write([]byte{1}); err != nil {
		return 0, fmt.Errorf("ask the origin's counter: %w", err)
	}
	var answer [8]byte
	if _, err := io.ReadFull(origin, answer[:]); err != nil {
		return 0, fmt.Errorf("ask the origin's counter: %w", err)
	}
	return int64(binary.BigEndian.Uint64(answer[:])), nil
}
