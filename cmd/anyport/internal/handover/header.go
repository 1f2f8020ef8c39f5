package handover

import (
	"encoding/binary"
	"fmt"
)

// A message is a header, a byte for each batch of file descriptors with the batch
// beside it, and a body of JSON.
const (
	headerSize = 8
	mostBody   = 16 << 20 // bytes
	mostFDs    = 1 << 14  // of one message
	batchFDs   = 253      // SCM_MAX_FD: the kernel takes no more beside one write
)

// header says what follows it. Its version stands first in every version.
type header struct {
	version uint8
	kind    Kind
	fds     uint16
	body    uint32 // bytes
}

// encode is in network byte order.
func (h header) encode() []byte {
	b := []byte{h.version, byte(h.kind)}
	b = binary.BigEndian.AppendUint16(b, h.fds)
	return binary.BigEndian.AppendUint32(b, h.body)
}

// decodeHeader refuses another version before it looks at the rest, which may mean something else there.
func decodeHeader(b [headerSize]byte) (header, error) {
	h := header{b[0], Kind(b[1]), binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:])}
	if h.version != Version {
		return header{}, fmt.Errorf("the other process hands over by version %d of the protocol, this one by version %d: stop the old one and start the new one instead",
			h.version, Version)
	}
	return h, h.check()
}

// check holds for what is sent and for what is received.
func (h header) check() error {
	if h.fds > mostFDs || h.body > mostBody {
		return fmt.Errorf("a message with %d file descriptors and %d bytes is too large: at most %d and %d", h.fds, h.body, mostFDs, mostBody)
	}
	return nil
}
