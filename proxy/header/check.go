package header

import (
	"fmt"
	"net/netip"

	proxyproto "github.com/pires/go-proxyproto"

	"anyport/config"
)

// Check returns the header that begins a health check of a conn, which has no client. The
// specification has words for that: LOCAL in v2 (section 2.2), and UNKNOWN in v1 (section 2.1). The
// origin then takes the conn as one of the proxy itself. HAProxy's checks do the same.
func Check(kind config.ProxyProtocol) ([]byte, error) {
	switch kind {
	case config.ProxyOff, "":
		return nil, nil
	case config.ProxyV1:
		return []byte("PROXY UNKNOWN\r\n"), nil
	case config.ProxyV2:
		return (&proxyproto.Header{Version: 2, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}).Format()
	}
	return nil, fmt.Errorf("proxy_protocol %q is not for checks of conns", kind)
}

// CheckDatagram is Check for a datagram. SPP has no word for it, so its header names the check's own
// socket as the client, and the origin's as dst.
func CheckDatagram(kind config.ProxyProtocol, own, to netip.AddrPort) ([]byte, error) {
	switch kind {
	case config.ProxyV2First:
		kind = config.ProxyV2
	case config.ProxySPP:
		return Datagram(kind, own, to)
	}
	return Check(kind)
}
