package udp

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
	"anyport/proxy/route"
)

// The class of a datagram is the byte of its IP header with DSCP and ECN (RFC 2474 §3, RFC
// 3168 §5). It goes on as it came, both ways. Datagrams of another class never share a train:
// the kernel's GRO keeps them apart (inet_gro_flush and ipv6_gro_flush in include/net/gro.h,
// before Linux 6.10 inet_gro_receive and ipv6_gro_receive), and so does trainLength.

// classSize is that of the control message's data, an int.
const classSize = 4

// wantClass has the kernel tell the class of what comes from peers of an address's family.
// Most have class 0, which costs nothing more when it is sent.
func wantClass(fd int, peer netip.Addr) {
	_, level, option := ipOptions(peer, unix.IP_RECVTOS, unix.IPV6_RECVTCLASS)
	_ = call.SetsockoptInt(fd, level, option, 1)
}

// classLevel is which control message tells the class of d, by the family of its socket.
func (d *outgoing) classLevel() (level, kind int32) {
	to := d.flow.origin.Addr
	if d.direction == route.ToClient {
		to = d.flow.dst().Addr()
	}
	if to.Is4() {
		return unix.SOL_IP, unix.IP_TOS
	}
	return unix.SOL_IPV6, unix.IPV6_TCLASS
}
