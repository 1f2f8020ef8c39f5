package load

import (
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// poller waits for many sockets at once, without a goroutine for each: on the few cores of
// a test machine the client must leave as much CPU as possible to the proxy.
type poller struct {
	fd     int
	events [256]unix.EpollEvent
}

// newPoller makes one for the calling goroutine: its events are not for two.
func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return &poller{fd: fd}, os.NewSyscallError("epoll_create1", err)
}

func (p *poller) close() { unix.Close(p.fd) }

// add asks for the events of a socket; its end is the end of them.
func (p *poller) add(fd int, events uint32) error {
	event := unix.EpollEvent{Fd: int32(fd), Events: events}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &event))
}

// A wait of pollFor milliseconds lets a load look at the clock.
const (
	pollFor     = 20
	pollForever = -1
)

// wait returns what has happened, which is nothing when the time is over.
func (p *poller) wait(milliseconds int) []unix.EpollEvent {
	n, err := unix.EpollWait(p.fd, p.events[:], milliseconds)
	if err != nil {
		return nil
	}
	return p.events[:n]
}

// dialing opens a socket and begins to connect it.
func dialing(dst netip.AddrPort) (int, error) {
	fd, err := unix.Socket(familyOf(dst.Addr()), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err = connectTo(fd, dst); err != nil && err != unix.EINPROGRESS {
		unix.Close(fd)
		return -1, os.NewSyscallError("connect", err)
	}
	return fd, nil
}
