package saved

import (
	"encoding/binary"
	"hash/crc32"
)

// header is what precedes the content of a record, in little-endian order.
type header struct {
	id     uint64 // of the process that writes: larger than those before it
	seq    uint64 // of the record: each is larger than the one before it
	pid    uint32 // of that process
	last   bool   // the process has ended: nothing more comes
	length uint32 // of the content
	sum    uint32 // of the content: CRC-32C
}

// headerSize is the size of a header with its own checksum at the end.
const headerSize = 40

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (h header) bytes() []byte {
	b := make([]byte, 0, headerSize)
	b = binary.LittleEndian.AppendUint64(b, h.id)
	b = binary.LittleEndian.AppendUint64(b, h.seq)
	b = binary.LittleEndian.AppendUint32(b, h.pid)
	flags := uint32(0)
	if h.last {
		flags = 1
	}
	b = binary.LittleEndian.AppendUint32(b, flags)
	b = binary.LittleEndian.AppendUint32(b, h.length)
	b = binary.LittleEndian.AppendUint32(b, h.sum)
	b = binary.LittleEndian.AppendUint32(b, 0) // for later versions
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// parseHeader reads headerSize bytes. The content of a record is not longer than room.
func parseHeader(b []byte, room int) (h header, ok bool) {
	sum := binary.LittleEndian.Uint32(b[headerSize-4:])
	h = header{
		id:     binary.LittleEndian.Uint64(b),
		seq:    binary.LittleEndian.Uint64(b[8:]),
		pid:    binary.LittleEndian.Uint32(b[16:]),
		last:   binary.LittleEndian.Uint32(b[20:])&1 != 0,
		length: binary.LittleEndian.Uint32(b[24:]),
		sum:    binary.LittleEndian.Uint32(b[28:]),
	}
	return h, sum == crc32.Checksum(b[:headerSize-4], castagnoli) && h.id > 0 && int64(h.length) <= int64(room)
}
