package datagram

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// WantErrors has a socket queue the ICMP errors for what it has sent (ip(7), IP_RECVERR). Without
// it a socket that is not connected gets none, and a connected one none that may be transient, such
// as "host unreachable" (udp_err in net/ipv4/udp.c). While its queue holds an error, epoll reports
// EPOLLERR for the socket: ReadError must empty it.
func WantErrors(fd int, peer netip.Addr) {
	_, level, option := ipOptions(peer, unix.IP_RECVERR, unix.IPV6_RECVERR)
	_ = call.SetsockoptInt(fd, level, option, 1)
}

// ICMPError is an ICMP error for a datagram that was sent.
type ICMPError struct {
	Err  unix.Errno
	To   netip.AddrPort // where the datagram was sent
	Sent []byte         // its first bytes, as many as the router or host returned
}

// ReadError takes one message from fd's error queue; err is EAGAIN once it is empty. The message is
// not ok where it is no refusal by ICMP. The first bytes of the datagram are read into sent.
func ReadError(fd int, sent []byte) (e ICMPError, ok bool, err error) {
	var control [controlSize]byte
	n, c, _, to, err := unix.Recvmsg(fd, sent, control[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	if err != nil {
		return ICMPError{}, false, err
	}
	e, ok = parseError(control[:c], to, sent[:n])
	return e, ok, nil
}

// DropErrors empties fd's error queue, up to a batch.
func DropErrors(fd int) {
	for range BatchSize {
		if _, _, _, _, err := unix.Recvmsg(fd, nil, nil, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT); err != nil {
			return
		}
	}
}

// parseError reads a message of an error queue. It is not ok for what the host itself noticed,
// such as a datagram longer than the path's MTU, and for errors that do not refuse a datagram.
func parseError(control []byte, to unix.Sockaddr, sent []byte) (e ICMPError, ok bool) {
	e = ICMPError{To: addrPortOf(to), Sent: sent}
	for len(control) > 0 {
		h, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			return e, false
		}
		control = rest
		level := h.Level == unix.SOL_IP && h.Type == unix.IP_RECVERR || h.Level == unix.SOL_IPV6 && h.Type == unix.IPV6_RECVERR
		if !level || len(data) < 5 {
			continue
		}
		// struct sock_extended_err: ee_errno (4), ee_origin (1), …
		e.Err = unix.Errno(binary.NativeEndian.Uint32(data))
		icmp := data[4] == unix.SO_EE_ORIGIN_ICMP || data[4] == unix.SO_EE_ORIGIN_ICMP6
		return e, icmp && MayBeICMP(e.Err) && e.To.IsValid()
	}
	return e, false
}

// MayBeICMP reports whether err can be an ICMP error for an earlier datagram of the socket: one of
// those of icmp(7), and of icmpv6_err_convert in the kernel's net/ipv6/icmp.c.
func MayBeICMP(err error) bool {
	switch err {
	case unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN, unix.ENONET, unix.ENOPROTOOPT, unix.EACCES:
		return true
	}
	return false
}

func addrPortOf(a unix.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}
