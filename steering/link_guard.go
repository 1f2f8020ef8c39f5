package steering

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// guardLink has the link outlive the tun device when this process dies. Were the link
// released first, the local routes would lead to the host's own listeners until the device
// has ended: 10 to 30 ms.
//
// The order in which a dying process releases its files is not an interface: close_files goes
// through the numbers, but the last fput of a file only queues its release (task_work_add),
// and task_work_run takes the queue last in, first out since Linux 4.4. So the last reference
// to the link is one that no descriptor has: it is in flight, in a message that nobody reads
// (unix(7), SCM_RIGHTS). The release of the socket frees the message, and that queues the
// release of the link while the others run, so that it runs after all of them. The release
// of the device (tun_chr_close, unregister_netdevice) is synchronous: when it is over, the
// routes are gone, and so are packets that were on their way by them.
func (s *Steering) guardLink() error {
	if s.routes == nil || s.loaded.Link == nil {
		return nil
	}
	if _, ends := s.routes.TUNFD(); !ends {
		return nil
	}
	guard, err := inFlight(s.loaded.Link.FD())
	if err != nil {
		return fmt.Errorf("keep the link of the steering program until the local routes are gone: %w", err)
	}
	err = s.closeGuard()
	s.guard = guard
	return err
}

// inFlight returns a socket with a message in its queue that holds fd.
func inFlight(fd int) (socket int, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	err = errors.Join(unix.Sendmsg(pair[0], []byte{0}, unix.UnixRights(fd), nil, 0), unix.Close(pair[0]))
	if err != nil {
		return 0, errors.Join(err, unix.Close(pair[1]))
	}
	return pair[1], nil
}

// closeGuard frees the message in flight, and with it the reference to the link.
func (s *Steering) closeGuard() error {
	if s.guard == 0 {
		return nil
	}
	err := unix.Close(s.guard)
	s.guard = 0
	return err
}

// closeLinkReferences closes all that this process has of the link.
func (s *Steering) closeLinkReferences() error {
	return errors.Join(s.closeGuard(), s.loaded.CloseLink())
}
