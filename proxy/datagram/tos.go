package datagram

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// TOS is the byte of the IP header that holds DSCP and ECN: "type of service" of IPv4, "traffic
// class" of IPv6 (RFC 2474 §3, RFC 3168 §5). It is forwarded unchanged, both ways. Datagrams with
// different TOS never share a train: the kernel's GRO keeps them apart (inet_gro_flush and
// ipv6_gro_flush in include/net/gro.h, before Linux 6.10 inet_gro_receive and ipv6_gro_receive),
// and so does trainLength.

// tosSize is the size of the control message's data, an int.
const tosSize = 4

// WantTOS has the kernel add the TOS to each message that peers of an address's family send. Most
// datagrams have TOS 0, which needs no control message when they are forwarded.
func WantTOS(fd int, peer netip.Addr) {
	_, level, option := ipOptions(peer, unix.IP_RECVTOS, unix.IPV6_RECVTCLASS)
	_ = call.SetsockoptInt(fd, level, option, 1)
}

// tosMessage returns level and type of the control message that sets the TOS of d.
func (d *Outgoing) tosMessage() (level, kind int32) {
	if d.IPv6 {
		return unix.SOL_IPV6, unix.IPV6_TCLASS
	}
	return unix.SOL_IP, unix.IP_TOS
}
