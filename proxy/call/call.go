package call

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Socket opens a non-blocking socket.
func Socket(family, kind, protocol int) (fd int, err error) {
	kind |= unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	return Result(unix.RawSyscall(unix.SYS_SOCKET, uintptr(family), uintptr(kind), uintptr(protocol)))
}

// SetsockoptInt sets an option that is an int.
func SetsockoptInt(fd, level, option, value int) error {
	v := int32(value)
	_, err := Result(unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
		uintptr(unsafe.Pointer(&v)), unsafe.Sizeof(v), 0))
	return err
}

// SetsockoptUint64 sets an option that is an unsigned long on a 64-bit machine.
func SetsockoptUint64(fd, level, option int, value uint64) error {
	_, err := Result(unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
		uintptr(unsafe.Pointer(&value)), unsafe.Sizeof(value), 0))
	return err
}

// TCPInfo is the part of struct tcp_info that the access log needs. TCP_INFO gives it also once the conn
// has ended, until the socket is closed.
type TCPInfo struct {
	RTT      uint32 // microseconds, smoothed; 0: not measured
	DataSent uint32 // segments with payload, those that were sent again included (tcpi_data_segs_out, since Linux 4.6)
}

// GetTCPInfo asks for it. After an error all is 0.
func GetTCPInfo(fd int) TCPInfo {
	var info unix.TCPInfo
	size := uint32(unsafe.Offsetof(info.Data_segs_out) + unsafe.Sizeof(info.Data_segs_out)) // the kernel copies no more
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_INFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return TCPInfo{}
	}
	return TCPInfo{RTT: info.Rtt, DataSent: info.Data_segs_out}
}

// Bind binds fd to name, a struct sockaddr.
func Bind(fd int, name []byte) error {
	_, err := Result(unix.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(name))), uintptr(len(name))))
	return err
}

// Connect connects fd to name, a struct sockaddr, or begins to.
func Connect(fd int, name []byte) error {
	_, err := Result(unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(name))), uintptr(len(name))))
	return err
}

// Sendto sends b to name, a struct sockaddr, or to the socket's own peer where that is nil.
func Sendto(fd int, b []byte, flags int, name []byte) (n int, err error) {
	return Result(unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), uintptr(flags),
		uintptr(unsafe.Pointer(unsafe.SliceData(name))), uintptr(len(name))))
}

// Recvmsg receives what m has room for.
func Recvmsg(fd int, m *unix.Msghdr, flags int) (n int, err error) {
	return Result(unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(m)), uintptr(flags)))
}

// PollNow sets the events of fds that are there, without waiting for any.
func PollNow(fds []unix.PollFd) error {
	var none unix.Timespec
	_, err := Result(unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(unsafe.SliceData(fds))), uintptr(len(fds)),
		uintptr(unsafe.Pointer(&none)), 0, 0, 0))
	return err
}

// EpollAdd adds fd to an epoll instance.
func EpollAdd(epoll, fd int, event *unix.EpollEvent) error {
	_, err := Result(unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(epoll), unix.EPOLL_CTL_ADD, uintptr(fd),
		uintptr(unsafe.Pointer(event)), 0, 0))
	return err
}

// Close closes fd. Linux has closed it even if close(2) returns an error.
func Close(fd int) { unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// Result is the result of a raw system call.
func Result(n, _ uintptr, errno unix.Errno) (int, error) {
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}
