package tcp

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// wire is what the steps of a conn ask of its sockets: of the kernel, or in tests of
// a script.
type wire interface {
	recvfrom(fd int32, b []byte) (int, error)
	peek(fd int32, b []byte) (int, error) // what recvfrom would read, which stays
	discard(fd int32, n int) (int, error) // reads n bytes that nobody wants, or fewer
	sendto(fd int32, b []byte) (int, error)
	splice(from, to int32, most int) (int, error)
	shutdown(fd int32) error             // sends FIN
	probe(fd int32, after time.Duration) // keepalive, from then on
	failure(fd int32) error              // fetches the error that waits on fd, which clears it
	inQueue(fd int32) uint32             // bytes that the peer has sent and nobody has read yet
	outQueue(fd int32) uint32            // bytes that the peer has not acknowledged yet
	close(fd int32)
	abort(fd int32) // closes with RST: what the peer got so far must not look complete
}

// kernel is the wire of conns in service.
type kernel struct{}

// recvfrom reads into b, which has room for a byte at least. It goes straight to the
// socket, where read(2) goes through the file system's checks and notifications.
func (kernel) recvfrom(fd int32, b []byte) (int, error) { return recvfrom(fd, b, 0) }

func (kernel) peek(fd int32, b []byte) (int, error) { return recvfrom(fd, b, unix.MSG_PEEK) }

// discard copies nothing: so MSG_TRUNC has it on TCP (tcp(7), since Linux 2.4).
func (kernel) discard(fd int32, n int) (int, error) {
	return call.Result(unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), 0, uintptr(n), unix.MSG_TRUNC, 0, 0))
}

func recvfrom(fd int32, b []byte, flags uintptr) (int, error) {
	return call.Result(unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), flags, 0, 0))
}

// sendto writes b, of a byte at least.
func (kernel) sendto(fd int32, b []byte) (int, error) {
	return call.Sendto(int(fd), b, unix.MSG_NOSIGNAL, nil)
}

func (kernel) splice(from, to int32, most int) (int, error) {
	const flags = unix.SPLICE_F_NONBLOCK | unix.SPLICE_F_MOVE
	return call.Result(unix.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(most), flags))
}

func (kernel) shutdown(fd int32) error {
	_, err := call.Result(unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0))
	return err
}

func (kernel) close(fd int32) { call.Close(int(fd)) }
