package tcp

import (
	"os"

	"golang.org/x/sys/unix"
)

// signals are eventfds that all loops watch and none reads: one write tells all.
type signals struct {
	wake    int // level-triggered: stays readable once Serve's ctx is done
	swapped int // edge-triggered: an edge with each new generation of routes
}

func openSignals() (s signals, err error) {
	if s.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC); err != nil {
		return s, os.NewSyscallError("eventfd", err)
	}
	// One that has been told 2^64 times must not block who tells it.
	if s.swapped, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		_ = unix.Close(s.wake)
		return s, os.NewSyscallError("eventfd", err)
	}
	return s, nil
}

func (s signals) close() {
	_ = unix.Close(s.wake)
	_ = unix.Close(s.swapped)
}

// watch adds the signals to a loop's epoll.
func (s signals) watch(epoll int) error {
	for _, event := range []unix.EpollEvent{
		{Events: unix.EPOLLIN, Fd: int32(s.wake)},
		{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(s.swapped)},
	} {
		if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, int(event.Fd), &event); err != nil {
			return os.NewSyscallError("epoll_ctl", err)
		}
	}
	return nil
}

func tell(eventfd int) error {
	_, err := unix.Write(eventfd, []byte{1, 0, 0, 0, 0, 0, 0, 1}) // any number but 0, in either byte order
	return os.NewSyscallError("eventfd", err)
}
