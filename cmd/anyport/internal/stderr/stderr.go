package stderr

import (
	"os"

	"golang.org/x/sys/unix"
)

// number is the file descriptor that Go's runtime writes to.
const number = 2

// Unblock makes fd 2 one that no write waits at, and returns a file for a log, which may wait for its
// reader. Children get that file, as os.Stderr. It is called before the privileges are given up, and
// once.
//
// O_NONBLOCK belongs to the open file, which other processes may share. So the fd 2 that was a pipe
// becomes another open file of the same pipe. If that cannot be had, as of a socket, such as
// journald's, the flag is set on the one that is there: systemd makes one for each process that it
// starts. Other files never block for long, or are a terminal, which its user may stop.
func Unblock() (*os.File, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(number, &stat); err != nil {
		return os.Stderr, os.NewSyscallError("fstat", err)
	}
	kind := stat.Mode & unix.S_IFMT
	if kind != unix.S_IFIFO && kind != unix.S_IFSOCK {
		return os.Stderr, nil
	}
	fd, openErr := unix.Open("/proc/self/fd/2", unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if openErr != nil {
		if err := unix.SetNonblock(number, true); err != nil {
			return os.Stderr, os.NewSyscallError("fcntl O_NONBLOCK", err)
		}
	}
	before, err := unix.FcntlInt(number, unix.F_DUPFD_CLOEXEC, number+1)
	if err != nil {
		return os.Stderr, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
	}
	if openErr == nil {
		defer unix.Close(fd)
		if err := unix.Dup3(fd, number, 0); err != nil {
			return os.Stderr, os.NewSyscallError("dup3", err)
		}
	}
	os.Stderr = os.NewFile(uintptr(before), "/dev/stderr") // waits by epoll if the file does not block
	return os.Stderr, nil
}
