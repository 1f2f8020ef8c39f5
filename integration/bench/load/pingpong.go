package load

import (
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// pingPong has Conns conns ask again and again, each as soon as it has its answer.
func pingPong(job Job) (Result, error) {
	conns, err := openConns(job, job.Conns)
	defer closeConns(conns)
	if err != nil {
		return Result{}, err
	}
	workers := min(tcpWorkers, len(conns))
	return measure(job, workers, func(i int, t *tally, m *window) {
		p, err := newPoller()
		if err != nil {
			t.failed.Add(1)
			return
		}
		defer p.close()
		r := rally{poller: p, tally: t, sent: make(map[int]time.Time), buf: make([]byte, max(job.Size, askSize)), short: make(map[int]int)}
		for c := i; c < len(conns); c += workers {
			r.serve(conns[c])
		}
		for !m.over() {
			for _, event := range p.wait(pollFor) {
				r.answer(int(event.Fd), m)
			}
		}
	})
}

// rally is one thread's share of pingPong.
type rally struct {
	*poller
	*tally
	sent  map[int]time.Time // when each conn asked
	short map[int]int       // bytes of an answer that has not come whole
	buf   []byte            // a question, and its answer
}

// serve begins with the first question of a conn.
func (r *rally) serve(fd int) {
	r.add(fd, unix.EPOLLIN)
	r.ask(fd)
}

// ask notes the time: a conn has one question under way.
func (r *rally) ask(fd int) {
	r.sent[fd] = time.Now()
	transmit(fd, r.buf)
}

// answer counts a whole answer and asks again. A conn that fails asks no more, so a proxy that closes conns loses
// operations.
func (r *rally) answer(fd int, m *window) {
	n, err := receive(fd, r.buf[r.short[fd]:])
	switch whole := r.short[fd] + n; {
	case n <= 0:
		if err != unix.EAGAIN { // closed
			r.failed.Add(1)
			unix.EpollCtl(r.fd, unix.EPOLL_CTL_DEL, fd, nil)
		}
		return
	case whole < len(r.buf):
		r.short[fd] = whole
		return
	}
	delete(r.short, fd)
	r.ops.Add(1)
	if m.open.Load() {
		r.latencies = append(r.latencies, time.Since(r.sent[fd]))
	}
	r.ask(fd)
}

// openConns opens n conns, of which each has had an answer. The sockets do not
// block. It returns those that it opened with the error, too.
func openConns(job Job, n int) ([]int, error) {
	conns := make([]int, 0, n)
	for i := range n {
		fd, err := openConn(job.dst(i, echoTCP).String())
		if err != nil {
			return conns, fmt.Errorf("conn %d of %d: %w", i+1, n, err)
		}
		conns = append(conns, fd)
	}
	return conns, nil
}

// openConn leaves the runtime's poller at once: a bare socket costs the client less.
func openConn(dst string) (int, error) {
	conn, err := net.DialTimeout("tcp", dst, patience)
	if err != nil {
		return -1, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(make([]byte, askSize)); err != nil {
		return -1, err
	}
	if _, err := conn.Read(make([]byte, askSize)); err != nil {
		return -1, err
	}
	file, err := conn.(*net.TCPConn).File()
	if err != nil {
		return -1, err
	}
	defer file.Close()
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	return fd, unix.SetNonblock(fd, true)
}

func closeConns(conns []int) {
	for _, fd := range conns {
		unix.Close(fd)
	}
}
