package saved

import (
	"errors"
	"io"
)

// fakeMemory is memory that can break off in the middle of a write, as if the process was killed there.
type fakeMemory struct {
	b     []byte
	limit int // bytes that can still be written; -1: any number
}

func newMemory() *fakeMemory { return &fakeMemory{make([]byte, 1<<15), -1} }

var errKilled = errors.New("killed")

func (m *fakeMemory) Size() uint32 { return uint32(len(m.b)) }

func (m *fakeMemory) ReadAt(p []byte, at int64) (int, error) {
	if n := copy(p, m.b[at:]); n < len(p) {
		return n, io.EOF
	}
	return len(p), nil
}

func (m *fakeMemory) WriteAt(p []byte, at int64) (int, error) {
	n := len(p)
	if m.limit >= 0 {
		n = min(n, m.limit)
		m.limit -= n
	}
	copy(m.b[at:], p[:n])
	if n < len(p) {
		return n, errKilled
	}
	return n, nil
}
