package load

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// hold opens Count conns, which have one answer each, weighs them, and then has
// each ask once more. Ops are the conns that answer to the end.
func hold(job Job) (Result, error) {
	before, err := weigh(job)
	if err != nil {
		return Result{}, err
	}
	start := time.Now()
	conns, failed := holdConns(job)
	defer closeConns(conns)
	r := Result{Seconds: time.Since(start).Seconds(), Failed: float64(failed)}
	after, err := weigh(job)
	if err != nil {
		return Result{}, err
	}
	after.since(before, &r)
	r.Ops = float64(answering(conns))
	r.Failed += float64(len(conns)) - r.Ops
	return r, nil
}

// holdConns opens conns from several goroutines. A goroutine stops at its first failure: if
// the proxy is full, each further conn would only wait.
func holdConns(job Job) (conns []int, failed int) {
	const openers = 16
	var group sync.WaitGroup
	var next atomic.Int64
	opened := make([][]int, openers)
	for i := range openers {
		group.Go(func() {
			for n := next.Add(1); n <= int64(job.Count); n = next.Add(1) {
				fd, err := openConn(job.dst(int(n), echoTCP).String())
				if err != nil {
					return
				}
				opened[i] = append(opened[i], fd)
			}
		})
	}
	group.Wait()
	for _, share := range opened {
		conns = append(conns, share...)
	}
	return conns, job.Count - len(conns)
}

// answering asks on every conn, all at once, and counts those that answer.
func answering(conns []int) (answers int) {
	p, err := newPoller()
	if err != nil {
		return 0
	}
	defer p.close()
	var buf [askSize]byte
	for _, fd := range conns {
		unix.Write(fd, buf[:])
		p.add(fd, unix.EPOLLIN|unix.EPOLLONESHOT)
	}
	for end := time.Now().Add(patience); answers < len(conns) && time.Now().Before(end); {
		for _, event := range p.wait(pollFor) {
			if n, _ := unix.Read(int(event.Fd), buf[:]); n == askSize {
				answers++
			}
		}
	}
	return answers
}
