package call

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"anyport/config"
)

// ErrNoPort means that the kernel has no local port to dial from, or not the one asked for.
var ErrNoPort = errors.New("no port of net.ipv4.ip_local_port_range is free: widen it, or give the route more source addresses")

// ErrClientPort means that the origin cannot be dialled from the client's address and port, because a
// socket has both already: of another conn of that client to the same origin, or, if the client is
// on this host, the client's own.
var ErrClientPort = errors.New("a socket to the same origin has the client's address and port already")

// ErrItself means that a socket that dials a port of its own host has become its own peer.
var ErrItself = errors.New("nobody listens there: the kernel gave that port to the socket that dials it")

// LocalPorts are the first and the last of net.ipv4.ip_local_port_range, which IPv6 shares;
// the kernel's default if it cannot be read.
func LocalPorts() config.PortRange {
	ports := config.PortRange{First: 32768, Last: 60999}
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		_, _ = fmt.Sscan(string(text), &ports.First, &ports.Last)
	}
	return ports
}

// PortChoice is LocalPorts, read again where that was a while ago: it can be changed at any time. The zero
// PortChoice is ready. It belongs to one goroutine.
type PortChoice struct {
	ports config.PortRange
	read  time.Time
}

// portChoiceAge is how old a PortChoice may be.
const portChoiceAge = time.Second

// Includes reports whether the kernel may give a port to a socket that does not ask for one by number.
func (c *PortChoice) Includes(port uint16, now time.Time) bool {
	if now.Sub(c.read) > portChoiceAge {
		*c = PortChoice{LocalPorts(), now}
	}
	return c.ports.Contains(port)
}

// ReservedPorts are those of net.ipv4.ip_local_reserved_ports, which the kernel gives only to a socket
// that asks for one by number.
func ReservedPorts() map[uint16]bool {
	text, _ := os.ReadFile("/proc/sys/net/ipv4/ip_local_reserved_ports")
	return parsePorts(string(text))
}

// UsablePorts is how many conns one address can dial to one port of an origin: the local ports without
// the reserved ones.
func UsablePorts() int {
	all, usable := LocalPorts(), 0
	reserved := ReservedPorts()
	for i := range all.Width() {
		if !reserved[all.First+uint16(i)] {
			usable++
		}
	}
	return usable
}

// parsePorts reads a list such as "8080,9000-9010".
func parsePorts(text string) map[uint16]bool {
	ports := map[uint16]bool{}
	for one := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		if span, ok := config.ParsePorts(one); ok {
			for i := range span.Width() {
				ports[span.First+uint16(i)] = true
			}
		}
	}
	return ports
}
