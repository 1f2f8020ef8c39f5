package load

import (
	"bufio"
	"bytes"
	"io"
	"net/netip"
	"os"

	proxyproto "github.com/pires/go-proxyproto"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// echoConns sends back what comes on the ports of echoTCP.
func echoConns(address netip.Addr, header bool) error {
	var listeners []int
	for i := range echoTCP.count {
		fd, err := listenTCP(netip.AddrPortFrom(address, echoTCP.port(i)))
		if err != nil {
			return err
		}
		listeners = append(listeners, fd)
	}
	var group errgroup.Group
	for range tcpWorkers {
		group.Go(func() error { return echoWorker(listeners, header) })
	}
	return group.Wait()
}

// listenTCP opens a listener with a long queue: the origin must never be what limits a measurement.
func listenTCP(local netip.AddrPort) (int, error) {
	fd, err := unix.Socket(familyOf(local.Addr()), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err := bindTo(fd, local); err != nil {
		return -1, err
	}
	return fd, os.NewSyscallError("listen", unix.Listen(fd, 4096))
}

// echoer is one thread of the echo.
type echoer struct {
	*poller
	header    bool
	listeners map[int]bool
	fresh     map[int]bool // conns whose PROXY header is still to come
	buf       [4096]byte
}

// echoWorker is one thread of the origin, until the process is killed. All of them wait on the same listeners;
// EPOLLEXCLUSIVE wakes one for each conn.
func echoWorker(listeners []int, header bool) error {
	p, err := newPoller()
	if err != nil {
		return err
	}
	e := &echoer{poller: p, header: header, listeners: make(map[int]bool), fresh: make(map[int]bool)}
	for _, fd := range listeners {
		e.listeners[fd] = true
		if err := p.add(fd, unix.EPOLLIN|unix.EPOLLEXCLUSIVE); err != nil {
			return err
		}
	}
	for {
		for _, event := range p.wait(pollForever) {
			e.serve(int(event.Fd))
		}
	}
}

// serve handles one event of a listener or of a conn.
func (e *echoer) serve(fd int) {
	if e.listeners[fd] {
		e.accept(fd)
		return
	}
	n, err := receive(fd, e.buf[:])
	switch {
	case n > 0:
		e.echo(fd, e.buf[:n])
	case err != unix.EAGAIN:
		e.end(fd)
	}
}

// accept takes all that wait.
func (e *echoer) accept(listener int) {
	for {
		fd, err := accept(listener)
		if err != nil {
			return
		}
		if e.header {
			e.fresh[fd] = true
		}
		e.add(fd, unix.EPOLLIN)
	}
}

// echo sends back what was read, without the PROXY header of a fresh conn.
func (e *echoer) echo(fd int, b []byte) {
	if e.fresh[fd] {
		delete(e.fresh, fd)
		rest, err := skipHeader(b)
		if err != nil {
			e.end(fd)
			return
		}
		b = rest
	}
	if len(b) > 0 {
		transmit(fd, b)
	}
}

// end also forgets that the conn was fresh: its number is used again.
func (e *echoer) end(fd int) {
	delete(e.fresh, fd)
	hangUp(fd)
}

// skipHeader returns what follows the PROXY header at the beginning of b. Every
// proxy sends its header in one write, so in one read it is whole.
func skipHeader(b []byte) ([]byte, error) {
	reader := bufio.NewReaderSize(bytes.NewReader(b), 256)
	if _, err := proxyproto.Read(reader); err != nil {
		return nil, err
	}
	return io.ReadAll(reader)
}
