package host

import (
	"encoding/binary"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"anyport/config"
)

// ConnTransparent looks for the socket of a TCP conn of this host, in the network namespace of the calling
// thread, and returns whether that is transparent (IP_TRANSPARENT): so are the sockets of a proxy that gets
// its conns by TPROXY rules. found is false if there is none, or if the kernel does not say: 6.1 does, 5.10 does not.
func ConnTransparent(local, client netip.AddrPort) (transparent, found bool) {
	family := uint8(unix.AF_INET)
	if local.Addr().Is6() {
		family = unix.AF_INET6
	}
	request := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, 0)
	request.AddData(&diagRequest{family: family, protocol: uint8(config.TCP), states: ^uint32(0), local: local, remote: client})
	messages, err := request.Execute(unix.NETLINK_INET_DIAG, nl.SOCK_DIAG_BY_FAMILY)
	if err != nil || len(messages) == 0 {
		return false, false
	}
	state, options := parseSockopt(messages[0])
	if state == tcpListen { // the kernel looks for a listener if there is no conn
		return false, false
	}
	return options.transparent, options.known
}

// sockopts is what is read of struct inet_diag_sockopt.
type sockopts struct{ transparent, known bool }

// Of linux/inet_diag.h: the attribute, and the bit of its first byte. Bit fields begin at the lowest bit on
// a little-endian machine, and at the highest on a big-endian one.
const attrSockopt, transparentBit = 22, 5

func parseSockopt(message []byte) (state uint8, o sockopts) {
	if len(message) < diagMessage {
		return 0, o
	}
	attributes, err := nl.ParseRouteAttr(message[diagMessage:])
	if err != nil {
		return message[1], o
	}
	for _, a := range attributes {
		if a.Attr.Type == attrSockopt && len(a.Value) > 0 {
			o = sockopts{transparent: a.Value[0]>>sockoptBit(transparentBit)&1 == 1, known: true}
		}
	}
	return message[1], o
}

func sockoptBit(n int) int {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return n
	}
	return 7 - n
}
