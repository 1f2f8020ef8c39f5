package udp

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// dialer opens sockets to origins.
type dialer struct {
	receiveBuffer int    // bytes
	bufferOption  int    // that sets it; 0: none is of use
	turn          uint32 // goes round the source addresses
}

// newDialer gives its sockets the receive buffer that the listener has: bursts come from
// both sides, and origin sockets shall stand as much.
func newDialer(listener int) (d dialer) {
	size, err := unix.GetsockoptInt(listener, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		return d
	}
	d.receiveBuffer = size / 2 // the kernel tells twice what it was asked for (socket(7))
	d.bufferOption = d.probe()
	return d
}

// probe finds how sockets get their buffer: with CAP_NET_ADMIN all that is asked for, else
// as much as net.core.rmem_max lets through, which may be no more than they have.
func (d *dialer) probe() (option int) {
	fd, err := call.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return 0
	}
	defer call.Close(fd)
	before, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	for _, option := range []int{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF} {
		if call.SetsockoptInt(fd, unix.SOL_SOCKET, option, d.receiveBuffer) != nil {
			continue
		}
		if after, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF); after > before {
			return option
		}
	}
	return 0
}

// dial returns a socket connected to the origin, with the next of the sources of
// its family where there are any.
func (d *dialer) dial(to netip.AddrPort, sources []netip.Addr) (int, error) {
	fd, err := d.socket(to.Addr())
	if err != nil {
		return -1, err
	}
	if err := d.connect(fd, to, sources); err != nil {
		call.Close(fd)
		return -1, err
	}
	return fd, nil
}

// open is dial without the connecting: the socket is for any port of the origin.
func (d *dialer) open(to netip.Addr, sources []netip.Addr) (int, error) {
	fd, err := d.socket(to)
	if err != nil {
		return -1, err
	}
	source, ok := d.source(to, sources)
	if !ok {
		source = netip.IPv6Unspecified()
		if to.Is4() {
			source = netip.IPv4Unspecified()
		}
	}
	if err := bindSource(fd, source); err != nil {
		call.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (d *dialer) socket(to netip.Addr) (int, error) {
	family, _, _ := ipOptions(to, 0, 0)
	fd, err := call.Socket(family, unix.SOCK_DGRAM, 0)
	if err != nil {
		return -1, fmt.Errorf("opening a socket: %w", err)
	}
	return fd, nil
}

// prepare has an origin socket take what more than a question and its answer needs: bursts,
// and trains of them.
func (d *dialer) prepare(fd int) {
	if d.bufferOption != 0 {
		_ = call.SetsockoptInt(fd, unix.SOL_SOCKET, d.bufferOption, d.receiveBuffer)
	}
	wantTrains(fd)
}

func bindSource(fd int, source netip.Addr) error {
	name := endpointOf(netip.AddrPortFrom(source, 0)).sockaddr()
	switch err := call.Bind(fd, name.slice()); err {
	case nil:
		return nil
	case unix.EADDRINUSE:
		return fmt.Errorf("binding to the source address %v: %w", source, call.ErrNoPort)
	default:
		return fmt.Errorf("binding to the source address %v: %w", source, err)
	}
}

func (d *dialer) connect(fd int, to netip.AddrPort, sources []netip.Addr) error {
	if source, ok := d.source(to.Addr(), sources); ok {
		if err := bindSource(fd, source); err != nil {
			return err
		}
	}
	name := endpointOf(to).sockaddr()
	switch err := call.Connect(fd, name.slice()); err {
	case nil:
	case unix.EAGAIN:
		return call.ErrNoPort
	default:
		return fmt.Errorf("connecting: %w", err)
	}
	if connectedToItself(fd, to) {
		return call.ErrItself
	}
	return nil
}

// connectedToItself reports whether fd would answer for an origin that is not
// there: a local port of the ephemeral range that is free may become fd's own.
func connectedToItself(fd int, to netip.AddrPort) bool {
	own, err := boundAs(fd)
	return err == nil && own == endpointOf(to)
}

// boundAs is the address of a socket's own.
func boundAs(fd int) (endpoint, error) {
	var name sockaddr
	size, err := call.Getsockname(fd, name.bytes[:])
	own, ok := parseSockaddr(name.bytes[:size])
	if err != nil || !ok {
		return own, fmt.Errorf("asking for the address of a socket: %w", err)
	}
	return own, nil
}

// source takes turns, for each address has the ports of net.ipv4.ip_local_port_range once.
func (d *dialer) source(to netip.Addr, sources []netip.Addr) (netip.Addr, bool) {
	for range sources {
		d.turn++
		if s := sources[int(d.turn)%len(sources)]; s.Is4() == to.Is4() {
			return s, true
		}
	}
	return netip.Addr{}, false
}
