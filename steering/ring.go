package steering

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cilium/ebpf/ringbuf"
)

// ring reads a ring buffer that the program writes to. It belongs to one goroutine.
type ring struct {
	reader *ringbuf.Reader
	record ringbuf.Record
	stop   func() bool
}

// openRing opens the ring buffer of that name for the caller, who closes it. When ctx ends, a read that waits fails
// with os.ErrClosed. There is none if the steering is closed.
func (s *Steering) openRing(ctx context.Context, name string) (*ring, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return nil, nil
	}
	reader, err := ringbuf.NewReader(s.loaded.Maps[name])
	if err != nil {
		return nil, fmt.Errorf("open the ring buffer %s: %w", name, err)
	}
	r := &ring{reader: reader}
	r.stop = context.AfterFunc(ctx, func() { reader.Close() })
	return r, nil
}

func (r *ring) close() {
	r.stop()
	r.reader.Close()
}

// read waits for a record until the deadline, and then fails with os.ErrDeadlineExceeded. The zero time is none. The
// record is valid until the next read.
func (r *ring) read(deadline time.Time) ([]byte, error) {
	r.reader.SetDeadline(deadline)
	err := r.reader.ReadInto(&r.record)
	return r.record.RawSample, err
}

// decodeRecord reads a record of the ring as a struct of the program; not ok if it is shorter.
func decodeRecord[T any](sample []byte) (v T, ok bool) {
	_, err := binary.Decode(sample, binary.NativeEndian, &v)
	return v, err == nil
}
