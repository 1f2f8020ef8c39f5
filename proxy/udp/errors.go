package udp

import (
	"encoding/binary"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
	"anyport/proxy/header"
	"anyport/proxy/route"
)

// queuesErrors reports whether f's socket has an error queue (see wantErrors). A socket of its own
// does without where there is no other origin: what it can know then is no more than "port
// unreachable", and each flow costs a system call less.
func (f *flow) queuesErrors() bool {
	return f.shared != nil || f.owns() && len(f.route.Origins.Origins) > 1
}

// wantErrors has an origin socket queue the ICMP errors for what it has sent (ip(7), IP_RECVERR).
// Otherwise one that is not connected hears of none, and a connected one of none that may be
// transient, as "host unreachable" is (udp_err in net/ipv4/udp.c).
func wantErrors(fd int, peer netip.Addr) {
	_, level, option := ipOptions(peer, unix.IP_RECVERR, unix.IPV6_RECVERR)
	_ = call.SetsockoptInt(fd, level, option, 1)
}

// icmpError is an ICMP error for a datagram that was sent.
type icmpError struct {
	err  unix.Errno
	to   netip.AddrPort // where the datagram went
	sent []byte         // the beginning of it, as much as the router or host gave back
}

// readErrors empties the error queue of o's socket, which wakes the loop until it is empty. It
// reports whether o still has the socket: a flow that goes elsewhere closes it.
func (l *loop) readErrors(fd int, o owner, now time.Duration) bool {
	var sent [header.SPPSize]byte
	var control [controlSize]byte
	for i := 0; i < batch && l.owner(fd) == o; i++ {
		n, c, _, from, err := unix.Recvmsg(fd, sent[:], control[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if err != nil {
			return true
		}
		e, ok := parseError(control[:c], from, sent[:n])
		if !ok {
			continue
		}
		o.counters().Datagrams(route.ToClient, route.OriginError, 1)
		if o.flow != nil {
			l.refused(o.flow, e.err, now)
		} else {
			l.refusedOn(o.shared, e, now)
		}
	}
	return l.owner(fd) == o
}

// refusedOn takes an ICMP error of a shared socket. The datagram's own SPP header names the flow.
// Where too little came back (RFC 792 asks for no more than 8 bytes of it), the origin is left
// out all the same, and its flows that wait for an answer leave with their next datagram.
func (l *loop) refusedOn(s *shared, e icmpError, now time.Duration) {
	if f := l.table.addressee(e.sent, endpointOf(e.to)); f != nil && f.shared == s {
		l.refused(f, e.err, now)
		return
	}
	if o := s.key.route.Origins.By(e.to); o != nil {
		l.table.refusal(s.key.route, o, e.to.Port(), e.err, now)
	}
}

// parseError reads a message of an error queue. It is not ok for what the host itself has
// noticed, such as a datagram longer than the path's MTU, and for errors that are no refusal.
func parseError(control []byte, to unix.Sockaddr, sent []byte) (e icmpError, ok bool) {
	e = icmpError{to: addrPortOf(to), sent: sent}
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
		e.err = unix.Errno(binary.NativeEndian.Uint32(data))
		icmp := data[4] == unix.SO_EE_ORIGIN_ICMP || data[4] == unix.SO_EE_ORIGIN_ICMP6
		return e, icmp && pending(e.err) && e.to.IsValid()
	}
	return e, false
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
