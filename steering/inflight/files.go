package inflight

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Files are files of which there is a reference that no descriptor has. They are released after those that
// only descriptors refer to, when the process dies. The zero value holds none. It belongs to its owner,
// whose mutex guards it.
//
// The order in which a dying process releases its files is not an interface: close_files goes
// through the numbers, but the last fput of a file only queues its release (task_work_add),
// and task_work_run takes the queue last in, first out since Linux 4.4. So the last reference
// is in flight, in a message that nobody reads (unix(7), SCM_RIGHTS). The release of the socket frees
// the message, and that queues the release of the file while the others run, so that it runs after all
// of them. The release of a tun device (tun_chr_close, unregister_netdevice) is synchronous: when it is
// over, the routes are gone, and so are packets that were on their way by them.
type Files struct{ socket int } // 0: it holds none

// most is how many files a message may have (SCM_MAX_FD is 253).
const most = 200

// Hold holds the files of these descriptors, and no longer those of the last call. On error it holds
// what it held.
func (f *Files) Hold(fds ...int) error {
	next := 0
	if len(fds) > 0 {
		var err error
		if next, err = send(fds); err != nil {
			return fmt.Errorf("hold files until all others are released: %w", err)
		}
	}
	err := f.Close()
	f.socket = next
	return err
}

// send returns a socket with messages in its queue that hold fds.
func send(fds []int) (socket int, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return 0, err
	}
	for first := 0; first < len(fds) && err == nil; first += most {
		rights := unix.UnixRights(fds[first:min(first+most, len(fds))]...)
		err = unix.Sendmsg(pair[0], []byte{0}, rights, nil, 0)
	}
	if err = errors.Join(err, unix.Close(pair[0])); err != nil {
		return 0, errors.Join(err, unix.Close(pair[1]))
	}
	return pair[1], nil
}

// Close releases the references. It may be called twice.
func (f *Files) Close() error {
	if f.socket == 0 {
		return nil
	}
	err := unix.Close(f.socket)
	f.socket = 0
	return err
}
