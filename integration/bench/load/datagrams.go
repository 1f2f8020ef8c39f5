package load

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// udpBatch is the most datagrams, or trains of them, of one system call.
const udpBatch = 64

// udpBuffer is room for half a second of small datagrams.
const udpBuffer = 8 << 20

// socket is a UDP socket that reads and writes in batches. Datagrams of one size
// for one address come and go as trains, if the kernel has them so.
type socket struct {
	*ipv4.PacketConn
	udp *net.UDPConn
	in  []ipv4.Message
	out []ipv4.Message
}

// openUDP binds a socket; the zero AddrPort has the kernel choose.
func openUDP(local netip.AddrPort) (*socket, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, udpBuffer)
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, udpBuffer)
			unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_GRO, 1)
		})
	}}
	address := "0.0.0.0:0"
	if local.IsValid() {
		address = local.String()
	}
	conn, err := config.ListenPacket(context.Background(), "udp4", address)
	if err != nil {
		return nil, err
	}
	s := &socket{PacketConn: ipv4.NewPacketConn(conn), udp: conn.(*net.UDPConn), in: make([]ipv4.Message, udpBatch)}
	for i := range s.in {
		s.in[i].Buffers = [][]byte{make([]byte, 1<<16)}
		s.in[i].OOB = make([]byte, unix.CmsgSpace(4))
	}
	return s, nil
}

// read waits for datagrams and returns those that are there, valid until the next
// read.
func (s *socket) read() ([]ipv4.Message, error) {
	n, err := s.ReadBatch(s.in, 0)
	return s.in[:max(n, 0)], err
}

// send puts a message into the next batch. A train is cut into datagrams of size.
func (s *socket) send(b []byte, size int, to net.Addr) {
	m := ipv4.Message{Buffers: [][]byte{b}, Addr: to}
	if len(b) > size {
		m.OOB = segmentsOf(size)
	}
	s.out = append(s.out, m)
}

// flush sends the batch. Messages that the kernel does not take are lost, as on
// any network.
func (s *socket) flush() {
	for out := s.out; len(out) > 0; {
		n, err := s.WriteBatch(out[:min(len(out), udpBatch)], 0)
		if err != nil {
			n = max(n, 1)
		}
		out = out[n:]
	}
	s.out = s.out[:0]
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

// sizeOf is the size of the datagrams of a message: of a train, that of all but
// the last one.
func sizeOf(m ipv4.Message) int {
	if m.NN >= unix.CmsgLen(4) {
		header := (*unix.Cmsghdr)(unsafe.Pointer(&m.OOB[0]))
		if header.Level == unix.SOL_UDP && header.Type == unix.UDP_GRO {
			return int(binary.NativeEndian.Uint32(m.OOB[unix.CmsgLen(0):]))
		}
	}
	return m.N
}
