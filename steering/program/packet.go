package program

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/config"
)

// Packet is what the program knows of a first packet. Its client is of dst's family,
// which may be IPv6 with an IPv4-mapped address, or the zero value.
type Packet struct {
	Protocol    config.Protocol
	Dst, Client netip.AddrPort
}

// The layout of struct bpf_sk_lookup in linux/bpf.h.
const (
	CtxCookie, ctxFamily, ctxProtocol     = 0, 8, 12
	ctxRemote4, ctxRemote6, ctxRemotePort = 16, 20, 36
	ctxLocal4, ctxLocal6, ctxLocalPort    = 40, 44, 60
	ctxSize                               = 72
)

// Context is the packet as run takes it.
func (p Packet) Context(question bpf.SteerQuestion) []byte {
	c, native := make([]byte, ctxSize), binary.NativeEndian
	native.PutUint32(c[ctxProtocol:], uint32(p.Protocol)|uint32(question))
	native.PutUint32(c[ctxLocalPort:], uint32(p.Dst.Port()))
	binary.BigEndian.PutUint16(c[ctxRemotePort:], p.Client.Port())
	dst, client := p.Dst.Addr().As16(), p.Client.Addr().As16()
	if p.Dst.Addr().Is4() {
		native.PutUint32(c[ctxFamily:], unix.AF_INET)
		copy(c[ctxLocal4:], dst[12:])
		copy(c[ctxRemote4:], client[12:])
		return c
	}
	native.PutUint32(c[ctxFamily:], unix.AF_INET6)
	copy(c[ctxLocal6:], dst[:])
	copy(c[ctxRemote6:], client[:])
	return c
}

// SKPass is SK_PASS of linux/bpf.h.
const SKPass = 1

// AnyPort is the port of a client that has none.
const AnyPort = 40000
