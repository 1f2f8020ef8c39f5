package udp

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ancillary is room for the control messages of one message (cmsg(3)): source, class, and the
// size of a train's datagrams. None has all three: what names its source is no train.
type ancillary struct {
	_     [0]uint64 // for the alignment
	bytes [64]byte
	used  int
}

// accompany gives message n what the kernel must be told beside a train.
func (m *mail) accompany(n int, train []outgoing) {
	first := &train[0]
	if len(train) == 1 && first.class == 0 {
		if len(first.control) > 0 {
			attach(&m.messages[n], first.control)
		}
		return
	}
	a := &m.ancillary[n]
	a.used = copy(a.bytes[:], first.control)
	if first.class != 0 {
		level, kind := first.classLevel()
		binary.NativeEndian.PutUint32(a.add(level, kind, classSize), uint32(first.class))
	}
	if len(train) > 1 {
		binary.NativeEndian.PutUint16(a.add(unix.SOL_UDP, unix.UDP_SEGMENT, 2), uint16(first.size()))
	}
	attach(&m.messages[n], a.bytes[:a.used])
}

// add returns the n bytes of data of one more control message.
func (a *ancillary) add(level, kind int32, n int) []byte {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&a.bytes[a.used]))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(n))
	data := a.bytes[a.used+unix.CmsgLen(0):]
	a.used += unix.CmsgSpace(n)
	return data[:n]
}

func attach(m *mmsghdr, control []byte) {
	m.Control = &control[0]
	m.SetControllen(len(control))
}
