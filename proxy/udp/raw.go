package udp

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

// rawSocket sends datagrams whose UDP header is ours; the kernel writes the IP
// header, and fragments. It is opened when first needed. The zero value is closed.
type rawSocket struct {
	fd     int
	opened bool
}

// open opens s for the family of addr, if it is not open yet.
func (s *rawSocket) open(addr netip.Addr) error {
	if s.opened {
		return nil
	}
	family, level, transparent := ipOptions(addr, unix.IP_TRANSPARENT, unix.IPV6_TRANSPARENT)
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return err
	}
	// A raw socket is given a copy of every UDP packet of the host: refuse them all.
	nothing := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	err = errors.Join(
		unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing[0]}),
		unix.SetsockoptInt(fd, level, transparent, 1),
	)
	if err != nil {
		unix.Close(fd)
		return err
	}
	s.fd, s.opened = fd, true
	return nil
}

func (s *rawSocket) close() {
	if s.opened {
		unix.Close(s.fd)
		s.opened = false
	}
}

// packetInfo is the control message that makes a raw socket send from addr.
func packetInfo(addr netip.Addr) []byte {
	if addr.Is4() {
		return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: addr.As4()})
	}
	return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: addr.As16()})
}

const udpHeaderSize = 8

// udpHeader returns the UDP header of payload (RFC 768).
func udpHeader(from, to netip.AddrPort, payload []byte) []byte {
	h := make([]byte, udpHeaderSize)
	length := udpHeaderSize + len(payload)
	binary.BigEndian.PutUint16(h, from.Port())
	binary.BigEndian.PutUint16(h[2:], to.Port())
	binary.BigEndian.PutUint16(h[4:], uint16(length))
	// The pseudo header: both addresses, protocol and length. Their order and the
	// zeros between them make no difference to the sum.
	sum := addUp(uint64(unix.IPPROTO_UDP)+uint64(length), from.Addr().AsSlice())
	sum = addUp(sum, to.Addr().AsSlice())
	sum = addUp(addUp(sum, h), payload)
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	checksum := ^uint16(sum)
	if checksum == 0 { // on the wire 0 says that there is none
		checksum = 0xffff
	}
	binary.BigEndian.PutUint16(h[6:], checksum)
	return h
}

// addUp adds the 16-bit words of b, the last one padded with zero (RFC 1071).
func addUp(sum uint64, b []byte) uint64 {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint64(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	return sum
}
