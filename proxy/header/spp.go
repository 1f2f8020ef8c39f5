package header

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
)

// SPPSize is the length of a Simple Proxy Protocol header, in bytes.
const SPPSize = 38

const sppMagic = 0x56EC

// Errors of a reply that must not be passed on to the client.
var (
	ErrNoSPP      = errors.New("the reply does not begin with a Simple Proxy Protocol header")
	ErrForeignSPP = errors.New("the reply's Simple Proxy Protocol header names another flow")
)

// AppendSPP appends magic, client address, dst address (16 bytes each, IPv4 as
// ::ffff:a.b.c.d), client port, dst port, all in network byte order.
func AppendSPP(b []byte, client, dst netip.AddrPort) []byte {
	clientAddr, dstAddr := client.Addr().As16(), dst.Addr().As16()
	b = binary.BigEndian.AppendUint16(b, sppMagic)
	b = append(b, clientAddr[:]...)
	b = append(b, dstAddr[:]...)
	b = binary.BigEndian.AppendUint16(b, client.Port())
	return binary.BigEndian.AppendUint16(b, dst.Port())
}

// ParseSPP reads the header of a datagram and returns the flow that it names.
func ParseSPP(b []byte) (client, dst netip.AddrPort, payload []byte, err error) {
	if len(b) < SPPSize || binary.BigEndian.Uint16(b) != sppMagic {
		return client, dst, nil, ErrNoSPP
	}
	clientAddr := netip.AddrFrom16([16]byte(b[2:18])).Unmap()
	dstAddr := netip.AddrFrom16([16]byte(b[18:34])).Unmap()
	client = netip.AddrPortFrom(clientAddr, binary.BigEndian.Uint16(b[34:]))
	dst = netip.AddrPortFrom(dstAddr, binary.BigEndian.Uint16(b[36:]))
	return client, dst, b[SPPSize:], nil
}

// CutSPP returns the payload of a reply. Its header must be own, the one that the flow's datagrams
// carry to the origin.
func CutSPP(reply, own []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(reply, own):
		return reply[len(own):], nil
	case len(reply) >= SPPSize && binary.BigEndian.Uint16(reply) == sppMagic:
		return nil, ErrForeignSPP
	}
	return nil, ErrNoSPP
}
