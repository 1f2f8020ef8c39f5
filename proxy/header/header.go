// Package header writes and reads what tells an origin who the client is: the
// PROXY protocol's v1 and v2, and the Simple Proxy Protocol for datagrams.
//
// A header names the original client and the original dst, or there is an error:
// never LOCAL, never UNKNOWN, which an origin would take for the proxy itself.
package header

import (
	"fmt"
	"net"
	"net/netip"

	proxyproto "github.com/pires/go-proxyproto"

	"anyport/config"
)

// Stream returns the header that begins a conn; empty with ProxyOff.
// Client and dst are unmapped and of one family.
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
	return nil, fmt.Errorf("proxy_protocol %q is not for conns", kind)
}

// Datagram returns the header that stands before a datagram's payload; empty
// with ProxyOff. Client and dst are unmapped and of one family.
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
		return appendSPP(nil, client, dst), nil
	}
	return nil, fmt.Errorf("proxy_protocol %q is not for flows", kind)
}

// oneFamily refuses an IPv4 and an IPv6 address in one header, which would have
// to name the first as ::ffff:a.b.c.d: no address of the client's.
func oneFamily(client, dst netip.AddrPort) error {
	if client.Addr().Is4() != dst.Addr().Is4() {
		return fmt.Errorf("client %v and dst %v are of two families", client, dst)
	}
	return nil
}

// format refuses what go-proxyproto would quietly turn into LOCAL or UNKNOWN.
func format(version byte, client, dst net.Addr) ([]byte, error) {
	h := proxyproto.HeaderProxyFromAddrs(version, client, dst)
	if h.Command != proxyproto.PROXY || h.TransportProtocol == proxyproto.UNSPEC {
		return nil, fmt.Errorf("no PROXY header can name client %v and dst %v together", client, dst)
	}
	return h.Format()
}
