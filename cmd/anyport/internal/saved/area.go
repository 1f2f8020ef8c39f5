package saved

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
)

// Memory is memory that processes share, and that outlives them.
type Memory interface {
	io.ReaderAt
	io.WriterAt
	Size() uint32
}

// The memory begins with its version, behind which are the pages.
const (
	version    = "anyport saved 1\n"
	headSize   = 64
	pageCount  = 3 // the process that serves, its predecessor that still ends conns, and the next process
	leastMost  = 1 << 10
	leastTotal = headSize + 2*pageCount*leastMost
)

// area is the memory as pages of two records each: a process that dies while it writes one leaves the
// other.
type area struct {
	memory Memory
	half   int64 // size of a record with its header
}

// openArea prepares the memory if it is empty. Memory of an unknown version is erased, and why says that.
func openArea(m Memory) (a area, why, err error) {
	if m.Size() < leastTotal {
		return a, nil, fmt.Errorf("%d bytes of memory are too few", m.Size())
	}
	a = area{m, (int64(m.Size()) - headSize) / (2 * pageCount) &^ 7}
	head := make([]byte, len(version))
	if _, err := m.ReadAt(head, 0); err != nil {
		return a, nil, err
	}
	if string(head) == version {
		return a, nil, nil
	}
	if !bytes.Equal(head, make([]byte, len(head))) {
		why = fmt.Errorf("it was written by another version of anyport (%q)", bytes.TrimRight(head, "\x00"))
	}
	for page := range pageCount {
		if err := a.erase(page); err != nil {
			return a, why, err
		}
	}
	_, err = m.WriteAt([]byte(version), 0)
	return a, why, err
}

// at is where a record of a page begins.
func (a area) at(page, half int) int64 { return headSize + int64(2*page+half)*a.half }

// room is how long the content of a record may be.
func (a area) room() int { return int(a.half) - headerSize }

// newest returns the header of the page's newer record, and in which half it is; not ok: there is none.
// The content may still be broken.
func (a area) newest(page int) (h header, half int, ok bool) {
	for i := range 2 {
		b := make([]byte, headerSize)
		if _, err := a.memory.ReadAt(b, a.at(page, i)); err != nil {
			continue
		}
		if r, valid := parseHeader(b, a.room()); valid && (!ok || r.seq > h.seq) {
			h, half, ok = r, i, true
		}
	}
	return h, half, ok
}

// read returns the newer whole record of a page; not ok: there is none.
func (a area) read(page int) (h header, content []byte, ok bool) {
	for i := range 2 {
		b := make([]byte, headerSize)
		if _, err := a.memory.ReadAt(b, a.at(page, i)); err != nil {
			continue
		}
		r, valid := parseHeader(b, a.room())
		if !valid || ok && r.seq < h.seq {
			continue
		}
		c := make([]byte, r.length)
		if len(c) > 0 {
			if _, err := a.memory.ReadAt(c, a.at(page, i)+headerSize); err != nil {
				continue
			}
		}
		if crc32.Checksum(c, castagnoli) == r.sum {
			h, content, ok = r, c, true
		}
	}
	return h, content, ok
}

// write replaces the older record of a page. The header comes last: until then the other record counts.
func (a area) write(page int, h header, content []byte) error {
	half := 0
	if _, newer, ok := a.newest(page); ok {
		half = 1 - newer
	}
	at := a.at(page, half)
	if _, err := a.memory.WriteAt(make([]byte, headerSize), at); err != nil {
		return err
	}
	if len(content) > 0 {
		if _, err := a.memory.WriteAt(content, at+headerSize); err != nil {
			return err
		}
	}
	h.length, h.sum = uint32(len(content)), crc32.Checksum(content, castagnoli)
	_, err := a.memory.WriteAt(h.bytes(), at)
	return err
}

// erase empties a page.
func (a area) erase(page int) error {
	for half := range 2 {
		if _, err := a.memory.WriteAt(make([]byte, headerSize), a.at(page, half)); err != nil {
			return err
		}
	}
	return nil
}

// damaged reports whether a page has bytes where a header is, and no record that can be read.
func (a area) damaged(page int) bool {
	if _, _, ok := a.read(page); ok {
		return false
	}
	for half := range 2 {
		b := make([]byte, headerSize)
		if _, err := a.memory.ReadAt(b, a.at(page, half)); err != nil || !bytes.Equal(b, make([]byte, headerSize)) {
			return true
		}
	}
	return false
}
