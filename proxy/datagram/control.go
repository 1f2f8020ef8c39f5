package datagram

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// controlSize holds the control messages of one message: both forms of the original dst, the drop
// count, the size of a train and the TOS, and some that nobody asked for.
const controlSize = 256

// Control is what the kernel says beside a received message.
type Control struct {
	Dst       call.Endpoint // where the sender sent it, before it was steered
	Drops     uint32        // messages lost on this socket since it was opened, modulo 2³²
	TrainSize int           // size of the datagrams of a train, except the last; 0: it is a single datagram
	TOS       uint8         // see WantTOS
}

// parseControl reads the control messages of a message. It is not ok where the original dst is
// missing. An IPv4 datagram has it at the level of IP on a socket of either family.
func parseControl(b []byte) (c Control, ok bool) {
	for len(b) > 0 {
		h, data, rest, err := unix.ParseOneSocketControlMessage(b)
		if err != nil {
			return c, false
		}
		b = rest
		switch {
		case h.Level == unix.SOL_IP && h.Type == unix.IP_ORIGDSTADDR,
			h.Level == unix.SOL_IPV6 && h.Type == unix.IPV6_ORIGDSTADDR:
			c.Dst, ok = call.ParseSockaddr(data)
			if !ok {
				return c, false
			}
			c.Dst.Zone = 0 // a served address has none
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL && len(data) >= 4:
			c.Drops = binary.NativeEndian.Uint32(data)
		case h.Level == unix.SOL_UDP && h.Type == unix.UDP_GRO && len(data) >= 4:
			c.TrainSize = int(binary.NativeEndian.Uint32(data))
		case h.Level == unix.SOL_IP && h.Type == unix.IP_TOS && len(data) >= 1:
			c.TOS = data[0]
		case h.Level == unix.SOL_IPV6 && h.Type == unix.IPV6_TCLASS && len(data) >= tosSize:
			c.TOS = uint8(binary.NativeEndian.Uint32(data))
		}
	}
	return c, ok
}
