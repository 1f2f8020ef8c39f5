package datagram

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// controlMessages is room for the control messages of one outgoing message (cmsg(3)): source, TOS
// and the size of a train's datagrams. None has all three: a message that names its source is
// never a train.
type controlMessages struct {
	_     [0]uint64 // for the alignment
	bytes [64]byte
	used  int
}

// setControl gives message n the control messages that its train needs.
func (b *SendBatch) setControl(n int, train []Outgoing) {
	first := &train[0]
	if len(train) == 1 && first.TOS == 0 {
		if len(first.Control) > 0 {
			attach(&b.messages[n], first.Control)
		}
		return
	}
	c := &b.controls[n]
	c.used = copy(c.bytes[:], first.Control)
	if first.TOS != 0 {
		level, kind := first.tosMessage()
		binary.NativeEndian.PutUint32(c.append(level, kind, tosSize), uint32(first.TOS))
	}
	if len(train) > 1 {
		binary.NativeEndian.PutUint16(c.append(unix.SOL_UDP, unix.UDP_SEGMENT, 2), uint16(first.Size()))
	}
	attach(&b.messages[n], c.bytes[:c.used])
}

// append begins one more control message, and returns where its n bytes of data go.
func (c *controlMessages) append(level, kind int32, n int) []byte {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&c.bytes[c.used]))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(n))
	data := c.bytes[c.used+unix.CmsgLen(0):]
	c.used += unix.CmsgSpace(n)
	return data[:n]
}

func attach(m *mmsghdr, control []byte) {
	m.Control = &control[0]
	m.SetControllen(len(control))
}
