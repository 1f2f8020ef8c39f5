package tcp

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls of a conn's life go past Go's scheduler: all its fds are non-blocking.
// A call that the scheduler knows of, and that takes over 20 µs, as a write does
// that carries its packet up to the peer's receive queue, has its processor taken
// away, and then waits for one: two thread switches for nothing.
//
// Only epoll_wait waits, and goes through the scheduler.

// wire is what the steps of a conn ask of its sockets: of the kernel, or in tests of
// a script.
type wire interface {
	recvfrom(fd int32, b []byte) (int, error)
	sendto(fd int32, b []byte) (int, error)
	splice(from, to int32, most int) (int, error)
	shutdown(fd int32) error  // sends FIN
	failure(fd int32) error   // fetches the error that waits on fd, which clears it
	inQueue(fd int32) uint32  // bytes that the peer has sent and nobody has read yet
	outQueue(fd int32) uint32 // bytes that the peer has not acknowledged yet
	close(fd int32)
	abort(fd int32) // closes with RST: what the peer got so far must not look complete
}

// kernel is the wire of conns in service.
type kernel struct{}

// recvfrom reads into b, which has room for a byte at least. It goes straight to the
// socket, where read(2) goes through the file system's checks and notifications.
func (kernel) recvfrom(fd int32, b []byte) (int, error) {
	return result(unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0))
}

// sendto writes b, of a byte at least.
func (kernel) sendto(fd int32, b []byte) (int, error) {
	return result(unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0))
}

func (kernel) splice(from, to int32, most int) (int, error) {
	const flags = unix.SPLICE_F_NONBLOCK | unix.SPLICE_F_MOVE
	return result(unix.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(most), flags))
}

func (kernel) shutdown(fd int32) error {
	_, err := result(unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0))
	return err
}

func (kernel) close(fd int32) { closeFD(fd) }

func closeFD(fd int32) {
	unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) // Linux closes it whatever it says
}

func accept4(listener int, client *sockaddr) (fd int, err error) {
	size := uint32(len(client))
	const flags = unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	return result(unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener),
		uintptr(unsafe.Pointer(client)), uintptr(unsafe.Pointer(&size)), flags, 0, 0))
}

func getsockname(fd int, name *sockaddr) error {
	size := uint32(len(name))
	_, err := result(unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd),
		uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(&size))))
	return err
}

func socket(family int) (fd int, err error) {
	const kind = unix.SOCK_STREAM | unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	return result(unix.RawSyscall(unix.SYS_SOCKET, uintptr(family), kind, unix.IPPROTO_TCP))
}

func setsockopt(fd, level, option, value int) error {
	v := int32(value)
	_, err := result(unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
		uintptr(unsafe.Pointer(&v)), unsafe.Sizeof(v), 0))
	return err
}

func connectTo(fd int, to *sockaddr) error {
	_, err := result(unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(to)), uintptr(to.len())))
	return err
}

func bindTo(fd int, name *sockaddr) error {
	_, err := result(unix.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(name)), uintptr(name.len())))
	return err
}

func epollAdd(epoll int, fd int32, event *unix.EpollEvent) error {
	_, err := result(unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(epoll), unix.EPOLL_CTL_ADD, uintptr(fd),
		uintptr(unsafe.Pointer(event)), 0, 0))
	return err
}

func result(n, _ uintptr, errno unix.Errno) (int, error) {
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}
