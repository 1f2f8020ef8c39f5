package datagram

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"anyport/bpf/socketfilter"
	"anyport/proxy/call"
)

// Raw is two raw sockets, one a family, that send datagrams from any address and port: the caller
// writes the UDP header ([PutUDPHeader]); the kernel writes the IP header, and fragments. Opening
// them takes CAP_NET_RAW, using them takes no capability, and any number of loops may share them.
type Raw struct{ four, six rawSocket }

// rawSocket is the socket of one family. It does not change once it is open, so that loops share it
// without a lock.
type rawSocket struct {
	fd  int
	err error // why it could not be opened
}

// OpenRaw opens what it can; an error is returned by FD, where the socket is needed. The caller
// owes a Close.
func OpenRaw() *Raw {
	r := new(Raw)
	r.four.fd, r.four.err = openRaw(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	r.six.fd, r.six.err = openRaw(netip.IPv6Loopback())
	return r
}

// FDs are the file descriptors for IPv4 and IPv6; -1 for a socket that could not be opened.
func (r *Raw) FDs() (four, six int) { return r.four.fd, r.six.fd }

// TakeRaw makes a Raw of the sockets of another process; -1 stands for a missing one.
func TakeRaw(four, six int) *Raw { return &Raw{takenRaw(four), takenRaw(six)} }

func takenRaw(fd int) rawSocket {
	if fd < 0 {
		return rawSocket{fd, errors.New("the previous process had none")}
	}
	return rawSocket{fd: fd}
}

// Close closes the sockets.
func (r *Raw) Close() error {
	var errs []error
	for _, s := range []rawSocket{r.four, r.six} {
		if s.err == nil {
			errs = append(errs, unix.Close(s.fd))
		}
	}
	return errors.Join(errs...)
}

// FD returns the socket of an address's family.
func (r *Raw) FD(addr netip.Addr) (int, error) {
	if addr.Is4() {
		return r.four.fd, r.four.err
	}
	return r.six.fd, r.six.err
}

// openRaw binds the socket to loopback, and has a filter drop all that it would receive: a raw
// socket gets a copy of every UDP packet to the address that it is bound to, and unbound of the host.
func openRaw(loopback netip.Addr) (int, error) {
	family, level, transparent := ipOptions(loopback, unix.IP_TRANSPARENT, unix.IPV6_TRANSPARENT)
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return -1, err
	}
	name := call.EndpointOf(netip.AddrPortFrom(loopback, 0)).Sockaddr()
	err = errors.Join(
		socketfilter.DropAll(fd),
		unix.SetsockoptInt(fd, level, transparent, 1),
		call.Bind(fd, name.Bytes()),
	)
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// SourceControl is the control message that makes a raw socket send from addr.
func SourceControl(addr netip.Addr) []byte {
	if addr.Is4() {
		return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: addr.As4()})
	}
	return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: addr.As16()})
}

// UDPHeaderSize is the length of a UDP header.
const UDPHeaderSize = 8

// RawPeer is a peer as a raw socket wants it: the port is in the UDP header, and IPv6 reads a port in
// the address as a protocol number (raw(7), ipv6(7)).
func RawPeer(peer call.Endpoint) call.Endpoint {
	peer.Port = 0
	return peer
}

// PutUDPHeader writes a UDP header (RFC 768) into the first bytes of h, for a datagram that consists
// of the rest of h and payload.
func PutUDPHeader(h []byte, from, to netip.AddrPort, payload []byte) {
	length := len(h) + len(payload)
	binary.BigEndian.PutUint16(h, from.Port())
	binary.BigEndian.PutUint16(h[2:], to.Port())
	binary.BigEndian.PutUint16(h[4:], uint16(length))
	binary.BigEndian.PutUint16(h[6:], 0)
	// The pseudo header: both addresses, protocol and length. Their order and the
	// zeros between them make no difference to the sum.
	sum := addUp(uint64(unix.IPPROTO_UDP)+uint64(length), from.Addr().AsSlice())
	sum = addUp(sum, to.Addr().AsSlice())
	body := fold(addUp(0, payload))
	if len(h)%2 == 1 { // its words straddle those of the datagram (RFC 1071 §2B)
		body = body>>8 | body<<8
	}
	checksum := ^fold(addUp(sum+uint64(body), h))
	if checksum == 0 { // on the wire 0 means "not computed"
		checksum = 0xffff
	}
	binary.BigEndian.PutUint16(h[6:], checksum)
}

// fold reduces a sum of words to 16 bits (RFC 1071 §2A).
func fold(sum uint64) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// addUp adds the 16-bit words of b, the last one padded with zero (RFC 1071). It adds 32 bits at
// once, whose sum folds to the same.
func addUp(sum uint64, b []byte) uint64 {
	for ; len(b) >= 8; b = b[8:] {
		words := binary.BigEndian.Uint64(b)
		sum += words>>32 + words&0xffffffff
	}
	for ; len(b) >= 2; b = b[2:] {
		sum += uint64(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	return sum
}
