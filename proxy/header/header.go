package header

import (
	"fmt"
	"net"
	"net/netip"

	proxyproto "github.com/pires/go-proxyproto"

	"anyport/config"
)

// Stream returns the header that begins a conn; empty with ProxyOff. client and dst must be unmapped
// and of one family.
func Stream(kind config.ProxyProtocol, client, dst netip.AddrPort) ([]byte, error) {
	if err := oneFamily(client, dst); err != nil {
		return nil, err
	}
	switch kind {
	case config.ProxyOff:
		return nil, nil
	case config.ProxyV1:
		return format(1, net.TCPAddrFromAddrPort(client), net.TCPAddrFromAddrPort(dst))
	case config.ProxyV2:
		return format(2, net.TCPAddrFromAddrPort(client), net.TCPAddrFromAddrPort(dst))
	}
	return nil, fmt.Errorf("proxy_protocol %q cannot be used for TCP", kind)
}

// Datagram returns the header that comes before a datagram's payload; empty with ProxyOff. client and
// dst must be unmapped and of one family.
func Datagram(kind config.ProxyProtocol, client, dst netip.AddrPort) ([]byte, error) {
	if err := oneFamily(client, dst); err != nil {
		return nil, err
	}
	switch kind {
	case config.ProxyOff:
		return nil, nil
	case config.ProxyV2, config.ProxyV2First:
		return format(2, net.UDPAddrFromAddrPort(client), net.UDPAddrFromAddrPort(dst))
	case config.ProxySPP:
		return AppendSPP(nil, client, dst), nil
	}
	return nil, fmt.Errorf("proxy_protocol %q cannot be used for UDP", kind)
}

// StreamOf is Stream as a route has it, with its TLVs; inbound are those of the header that its peer
// has sent.
func StreamOf(r *config.Route, client, dst netip.AddrPort, inbound []byte) ([]byte, error) {
	h, err := Stream(r.ProxyProtocol, client, dst)
	if err != nil || len(r.ProxyTLVs) == 0 {
		return h, err
	}
	return extend(h, r.ProxyTLVs, inbound)
}

// DatagramOf is the same for Datagram.
func DatagramOf(r *config.Route, client, dst netip.AddrPort, inbound []byte) ([]byte, error) {
	h, err := Datagram(r.ProxyProtocol, client, dst)
	if err != nil || len(r.ProxyTLVs) == 0 {
		return h, err
	}
	return extend(h, r.ProxyTLVs, inbound)
}

// oneFamily refuses an IPv4 and an IPv6 address in one header: the first would have to be written as
// ::ffff:a.b.c.d, which is not the client's address.
func oneFamily(client, dst netip.AddrPort) error {
	if client.Addr().Is4() != dst.Addr().Is4() {
		return fmt.Errorf("client %v and dst %v are not of one address family", client, dst)
	}
	return nil
}

// format returns an error where go-proxyproto would silently write LOCAL or UNKNOWN.
func format(version byte, client, dst net.Addr) ([]byte, error) {
	h := proxyproto.HeaderProxyFromAddrs(version, client, dst)
	if h.Command != proxyproto.PROXY || h.TransportProtocol == proxyproto.UNSPEC {
		return nil, fmt.Errorf("a PROXY header cannot name client %v and dst %v together", client, dst)
	}
	return h.Format()
}
