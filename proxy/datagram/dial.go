package datagram

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// Dialer opens sockets to origins. It belongs to one event loop. The zero Dialer leaves receive
// buffers as they are.
type Dialer struct {
	ReceiveBuffer int    // bytes
	BufferOption  int    // the socket option that sets it; 0: none makes it larger
	turn          uint32 // counts uses of source addresses, which take turns
	ports         call.PortChoice
}

// NewDialer gives its sockets the receive buffer of the listener: bursts come from both sides.
func NewDialer(listener int) (d Dialer) {
	size, err := unix.GetsockoptInt(listener, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		return d
	}
	d.ReceiveBuffer = size / 2 // the kernel returns twice the value that was set (socket(7))
	d.BufferOption = d.probe()
	return d
}

// probe finds the option that makes a receive buffer larger: with CAP_NET_ADMIN SO_RCVBUFFORCE
// sets any size; SO_RCVBUF is limited by net.core.rmem_max, which may be no more than the default.
func (d *Dialer) probe() (option int) {
	fd, err := call.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return 0
	}
	defer call.Close(fd)
	before, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	for _, option := range []int{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF} {
		if call.SetsockoptInt(fd, unix.SOL_SOCKET, option, d.ReceiveBuffer) != nil {
			continue
		}
		if after, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF); after > before {
			return option
		}
	}
	return 0
}

// Dial returns a socket connected to an origin, from the next of the sources of its family, or from
// the kernel's choice where there is none. If a source has no port left, or is not an address of the
// host any more, the next one is tried.
func (d *Dialer) Dial(to netip.AddrPort, sources []netip.Addr) (int, error) {
	dial := connect
	if !d.ports.Includes(to.Port(), time.Now()) { // so it can't be its own peer; saves a call
		dial = connectAnyway
	}
	return d.fromSources(to.Addr(), sources, func(fd int, source netip.Addr) error { return dial(fd, to, source) })
}

// DialAs returns a socket connected to an origin from the address and port of a client. The caller has
// made sure that no other socket has this pair of addresses and ports: of UDP the kernel does not
// refuse a second one, and gives it the answers of the first.
func (d *Dialer) DialAs(to, client netip.AddrPort) (int, error) {
	fd, err := d.socket(to.Addr())
	if err != nil {
		return -1, err
	}
	if err = call.BindAsClient(fd, client); err == nil {
		err = connect(fd, to, netip.Addr{})
	}
	if err != nil {
		call.Close(fd)
		return -1, err
	}
	return fd, nil
}

// DialAnyPort is Dial without connecting: the socket is for all ports of the origin.
func (d *Dialer) DialAnyPort(to netip.Addr, sources []netip.Addr) (int, error) {
	return d.fromSources(to, sources, func(fd int, source netip.Addr) error {
		switch {
		case source.IsValid():
		case to.Is4():
			source = netip.IPv4Unspecified()
		default:
			source = netip.IPv6Unspecified()
		}
		return bindSource(fd, source)
	})
}

// DialFrom is Dial from an address and port that another process has had.
func (d *Dialer) DialFrom(to, source netip.AddrPort) (int, error) {
	fd, err := d.BindTo(source)
	if err != nil {
		return -1, err
	}
	if err := connect(fd, to, netip.Addr{}); err != nil {
		call.Close(fd)
		return -1, err
	}
	return fd, nil
}

// BindTo returns a socket that is bound to an address and port, and not connected.
func (d *Dialer) BindTo(source netip.AddrPort) (int, error) {
	fd, err := d.socket(source.Addr())
	if err != nil {
		return -1, err
	}
	name := call.EndpointOf(source).Sockaddr()
	if err := call.Bind(fd, name.Bytes()); err != nil {
		call.Close(fd)
		return -1, fmt.Errorf("binding to %v: %w", source, err)
	}
	return fd, nil
}

// SourceTo is the address that datagrams of fd, which is not connected, leave from on their way to an
// address: the one that it is bound to, or else the kernel's choice, which another socket is told.
func SourceTo(fd int, to netip.AddrPort) (netip.Addr, error) {
	own, err := call.LocalAddr(fd)
	if err != nil || !own.Addr().IsUnspecified() {
		return own.Addr(), err
	}
	family := unix.AF_INET6
	if to.Addr().Is4() {
		family = unix.AF_INET
	}
	probe, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("opening a socket: %w", err)
	}
	defer unix.Close(probe)
	if err := connect(probe, to, netip.Addr{}); err != nil {
		return netip.Addr{}, err
	}
	own, err = call.LocalAddr(probe)
	return own.Addr(), err
}

// fromSources opens a socket and binds it by use, from one source after the other until one has a port.
// The zero Addr, where there is no source of to's family, has the kernel choose.
func (d *Dialer) fromSources(to netip.Addr, sources []netip.Addr, use func(fd int, source netip.Addr) error) (fd int, err error) {
	d.turn++
	for _, source := range d.inTurn(to, sources) {
		if fd, err = d.socket(to); err != nil {
			return -1, err
		}
		if err = use(fd, source); err == nil {
			return fd, nil
		}
		call.Close(fd)
		if !errors.Is(err, call.ErrNoPort) && !errors.Is(err, unix.EADDRNOTAVAIL) {
			break
		}
	}
	return -1, err
}

func (d *Dialer) socket(to netip.Addr) (int, error) {
	family, _, _ := ipOptions(to, 0, 0)
	fd, err := call.Socket(family, unix.SOCK_DGRAM, 0)
	if err != nil {
		return -1, fmt.Errorf("opening a socket: %w", err)
	}
	return fd, nil
}

// ExpectBursts gives an origin socket the large receive buffer, and has it receive trains and the count
// of what the kernel drops. One question and its answer need none of these.
func (d *Dialer) ExpectBursts(fd int) {
	if d.BufferOption != 0 {
		_ = call.SetsockoptInt(fd, unix.SOL_SOCKET, d.BufferOption, d.ReceiveBuffer)
	}
	WantTrains(fd)
	_ = call.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1)
}

// inTurn returns the sources of to's family, beginning with the next in turn: each address has every
// port of net.ipv4.ip_local_port_range once. Without any it returns the zero Addr.
func (d *Dialer) inTurn(to netip.Addr, sources []netip.Addr) []netip.Addr {
	if len(sources) == 0 {
		return kernelsChoice
	}
	all := make([]netip.Addr, 0, len(sources))
	for i := range sources {
		if s := sources[(int(d.turn)+i)%len(sources)]; s.Is4() == to.Is4() {
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		return kernelsChoice
	}
	return all
}

var kernelsChoice = []netip.Addr{{}}
