package datagram

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// ReplySocket is a socket that datagrams leave from a dst through.
type ReplySocket struct {
	FD      int
	Control []byte // control message that names the source; empty where the socket is bound to the dst
}

// Raw reports whether it is a raw socket, which all dsts share and nobody but [Raw] closes.
func (s ReplySocket) Raw() bool { return len(s.Control) > 0 }

// OpenReply returns a socket that sends from dst.
//
// A socket bound to dst never takes datagrams from the listener, because SK_LOOKUP runs before the
// lookup of bound sockets. Where a wildcard socket of another process holds the port exclusively,
// or the port needs a capability that is missing, a raw socket answers: from dst as well, never from
// another port.
func OpenReply(dst netip.AddrPort, raw *Raw) (ReplySocket, error) {
	fd, err := bindReply(dst)
	if !errors.Is(err, unix.EADDRINUSE) && !errors.Is(err, unix.EACCES) {
		return ReplySocket{FD: fd}, err
	}
	rawFD, rawErr := raw.FD(dst.Addr())
	if rawErr != nil {
		return ReplySocket{}, fmt.Errorf("%w; and to answer through a raw socket needs CAP_NET_RAW: %w", err, rawErr)
	}
	return ReplySocket{FD: rawFD, Control: SourceControl(dst.Addr())}, nil
}

// bindReply opens an unconnected socket that sends from dst. With IP_FREEBIND (IPV6_FREEBIND since
// Linux 4.15) an address that is routed here need not be set on an interface.
func bindReply(dst netip.AddrPort) (int, error) {
	family, level, freebind := ipOptions(dst.Addr(), unix.IP_FREEBIND, unix.IPV6_FREEBIND)
	fd, err := call.Socket(family, unix.SOCK_DGRAM, 0)
	if err != nil {
		return -1, fmt.Errorf("opening a socket to answer from %v: %w", dst, err)
	}
	name := call.EndpointOf(dst).Sockaddr()
	err = errors.Join(
		call.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		call.SetsockoptInt(fd, level, freebind, 1),
		call.Bind(fd, name.Bytes()),
	)
	if err != nil {
		call.Close(fd)
		return -1, fmt.Errorf("binding a socket to answer from %v: %w", dst, err)
	}
	return fd, nil
}
