package route

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"net/netip"
	"time"

	"anyport/config"
)

// ID names a live conn or flow for an operator. It is the same while the conn lives in this process.
type ID uint64

// String is the ID as 16 hexadecimal digits.
func (id ID) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// IDOf is the ID of a conn or flow that began at a moment of its loop. It is computed when it is asked for,
// not stored: a conn has no room for it.
func IDOf(p config.Protocol, began time.Duration, client, peer, dst netip.AddrPort) ID {
	var buffer [128]byte
	b := append(binary.LittleEndian.AppendUint64(buffer[:0], uint64(began)), byte(p))
	for _, at := range []netip.AddrPort{client, peer, dst} {
		ip := at.Addr().As16()
		b = binary.LittleEndian.AppendUint16(append(b, ip[:]...), at.Port())
	}
	h := fnv.New64a()
	h.Write(b)
	return ID(h.Sum64())
}
