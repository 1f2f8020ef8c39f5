package steering

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// guardLink has the link outlive the tun device when this process dies. Were the link
// released first, the local routes would lead to the host's own listeners until the device
// is gone: 10 to 30 ms.
//
// A dying process gives up its descriptors in the order of their numbers (close_files), but
// each last fput only queues the release (task_work_add), and task_work_run takes the queue
// last in, first out since Linux 4.4: the highest number is released first. That is not an
// interface, so the link has two descriptors, one below and one above the device's: in
// either order, the link's last reference goes after the device. The release of the device
// (tun_chr_close, unregister_netdevice) is synchronous: routes and packets on their way are
// gone before the next release begins.
func (s *Steering) guardLink() error {
	if s.routes == nil || s.routes.tun == nil || s.link == nil {
		return nil
	}
	before := s.guard
	defer func() {
		if before > 0 {
			unix.Close(before)
		}
	}()
	s.guard = 0
	if err := s.routes.tun.above(s.link.FD()); err != nil {
		return err
	}
	guard, err := unix.FcntlInt(uintptr(s.link.FD()), unix.F_DUPFD_CLOEXEC, s.routes.tun.fd+1)
	if err != nil {
		return os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
	}
	s.guard = guard
	return nil
}

// dropLink closes all that this process has of the link.
func (s *Steering) dropLink() error {
	err := s.closeLink()
	if s.guard > 0 {
		err = errors.Join(err, unix.Close(s.guard))
		s.guard = 0
	}
	return err
}
