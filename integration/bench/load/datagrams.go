package load

import (
	"encoding/binary"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// udpBatch is the most datagrams, or trains of them, of one system call.
const udpBatch = 64

// udpBuffer is room for half a second of small datagrams.
const udpBuffer = 8 << 20

// socket is a UDP socket that reads and writes in batches. Datagrams of one size
// for one address come and go as trains, if the kernel supports it.
type socket struct {
	fd  int
	in  *batch // which others may share that the same goroutine reads
	out batch
	n   int // messages in out
}

// message is a datagram or a train of them that came.
type message struct {
	bytes []byte
	size  int // of the datagrams; of a train, that of all but the last one
	from  netip.AddrPort
}

// openUDP binds a socket that reads into in. The kernel chooses what is unspecified or 0.
func openUDP(local netip.AddrPort, in *batch) (*socket, error) {
	fd, err := unix.Socket(familyOf(local.Addr()), unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, udpBuffer)
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, udpBuffer)
	unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1)
	if err := bindTo(fd, local); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &socket{fd: fd, in: in}, nil
}

func (s *socket) Close() error { return unix.Close(s.fd) }

// read yields the messages that are there, valid until the next read into the same batch.
func (s *socket) read(yield func(message) bool) {
	n, _ := s.in.call(unix.SYS_RECVMMSG, s.fd, 0, udpBatch)
	for i := range n {
		m := s.in.message(i)
		if s.in.messages[i].SetControllen(segmentSpace); !yield(m) {
			return
		}
	}
}

// send puts a message into the next batch, which takes it as it is then. A train is cut
// into datagrams of size.
func (s *socket) send(b []byte, size int, to netip.AddrPort) {
	var control []byte
	if len(b) > size {
		control = segmentsOf(size)
	}
	s.sendWith(b, control, to)
}

func (s *socket) sendWith(b, control []byte, to netip.AddrPort) {
	s.out.set(s.n, b, control)
	s.out.names[s.n], s.out.messages[s.n].Namelen = sockaddrOf(to)
	if s.n++; s.n == udpBatch {
		s.flush()
	}
}

// flush sends the batch, and waits until the kernel has room for it. Messages that the
// kernel refuses are lost, as on any network.
func (s *socket) flush() {
	for at := 0; at < s.n; {
		n, err := s.out.call(unix.SYS_SENDMMSG, s.fd, at, s.n)
		switch err {
		case nil:
			at += n
		case unix.EAGAIN:
			unix.Poll([]unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLOUT}}, -1)
		default:
			at++
		}
	}
	s.n = 0
}

// segmentsOf is the control message that has the kernel cut a train.
func segmentsOf(size int) []byte {
	b := make([]byte, unix.CmsgSpace(2))
	header := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	header.Level, header.Type = unix.SOL_UDP, unix.UDP_SEGMENT
	header.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(b[unix.CmsgLen(0):], uint16(size))
	return b
}
