package call

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// ErrNoPort says that the kernel has no local port to dial from, or not the one asked for.
var ErrNoPort = errors.New("no port of net.ipv4.ip_local_port_range is free: widen it, or give the route more source addresses")

// LocalPorts are the first and the last of net.ipv4.ip_local_port_range, which IPv6 shares;
// the kernel's default where it can't be read.
func LocalPorts() (first, last int) {
	first, last = 32768, 60999
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		_, _ = fmt.Sscan(string(text), &first, &last)
	}
	return first, last
}

// ReservedPorts are those of net.ipv4.ip_local_reserved_ports, which no socket is to have
// that does not ask for one by number.
func ReservedPorts() map[uint16]bool {
	text, _ := os.ReadFile("/proc/sys/net/ipv4/ip_local_reserved_ports")
	return parsePorts(string(text))
}

// parsePorts reads a list such as "8080,9000-9010".
func parsePorts(text string) map[uint16]bool {
	ports := map[uint16]bool{}
	for one := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		var first, last uint16
		switch n, _ := fmt.Sscanf(one, "%d-%d", &first, &last); n {
		case 0:
			continue
		case 1:
			last = first
		}
		for p := int(first); p <= int(last); p++ {
			ports[uint16(p)] = true
		}
	}
	return ports
}
