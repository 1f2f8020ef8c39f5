package udp

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// controlSize holds the control messages of one message: both forms of the original
// dst, the drop count, a train's size and the class, with room for those that nobody asked for.
const controlSize = 256

// control is what the kernel says beside a message.
type control struct {
	dst   endpoint
	drops uint32 // lost on this socket since it was opened, modulo 2³²
	size  int    // of the datagrams of a train, but for the last; or 0
	class uint8
}

// parseControl reads the control messages of a message. It is not ok where they
// don't tell the original dst. An IPv4 datagram tells it at the level of IP on a
// socket of either family.
func parseControl(b []byte) (c control, ok bool) {
	for len(b) > 0 {
		h, data, rest, err := unix.ParseOneSocketControlMessage(b)
		if err != nil {
			return c, false
		}
		b = rest
		switch {
		case h.Level == unix.SOL_IP && h.Type == unix.IP_ORIGDSTADDR,
			h.Level == unix.SOL_IPV6 && h.Type == unix.IPV6_ORIGDSTADDR:
			c.dst, ok = parseSockaddr(data)
			if !ok {
				return c, false
			}
			c.dst.zone = 0 // a served address has none
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL && len(data) >= 4:
			c.drops = binary.NativeEndian.Uint32(data)
		case h.Level == unix.SOL_UDP && h.Type == unix.UDP_GRO && len(data) >= 4:
			c.size = int(binary.NativeEndian.Uint32(data))
		case h.Level == unix.SOL_IP && h.Type == unix.IP_TOS && len(data) >= 1:
			c.class = data[0]
		case h.Level == unix.SOL_IPV6 && h.Type == unix.IPV6_TCLASS && len(data) >= classSize:
			c.class = uint8(binary.NativeEndian.Uint32(data))
		}
	}
	return c, ok
}
