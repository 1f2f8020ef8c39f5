package logfile

import (
	"bytes"
	"errors"
	"io"
	"os"
	"time"
)

// blockSize is how much is gathered at most before it is written.
const blockSize = 64 << 10

// Writer gathers lines and writes them together. It belongs to one goroutine.
type Writer struct {
	// Patience is how long a write waits for a pipe opened with O_NONBLOCK; 0: without a limit.
	Patience time.Duration

	out   io.Writer
	block []byte // whole lines that wait for Flush
	rest  []byte // the rest of a line whose beginning is in the file already
	lost  uint64
	err   error // of a Flush that Write has called; the next Flush returns it
}

// NewWriter makes a Writer for a file, which the caller closes.
func NewWriter(out io.Writer) *Writer { return &Writer{out: out} }

// Write takes one or more whole lines, which the next Flush writes. It never fails.
func (w *Writer) Write(text []byte) (int, error) {
	w.block = append(w.block, text...)
	if len(w.block) >= blockSize {
		w.err = w.Flush()
	}
	return len(text), nil
}

// Flush writes what was gathered. Lines that the file does not take are counted and not tried again:
// a full disk must not fill the memory.
func (w *Writer) Flush() error {
	err := w.err
	w.err = nil
	if failed := w.finish(); failed != nil {
		w.lose(w.block)
		return failed
	}
	if failed := w.put(); failed != nil {
		return failed
	}
	return err
}

// finish writes the rest of a line whose beginning is in the file.
func (w *Writer) finish() error {
	if len(w.rest) == 0 {
		return nil
	}
	n, err := w.write(w.rest)
	w.rest = w.rest[n:]
	return err
}

// put writes the block. If only the beginning of a line was written, it is cut off again; if that is
// not possible, as in a pipe, the rest of the line is kept for the next Flush.
func (w *Writer) put() error {
	if len(w.block) == 0 {
		return nil
	}
	n, err := w.write(w.block)
	if err == nil {
		w.block = w.block[:0]
		return nil
	}
	whole := bytes.LastIndexByte(w.block[:n], '\n') + 1
	left := w.block[whole:]
	if torn := n - whole; torn > 0 && takeBack(w.out, torn) != nil {
		end := bytes.IndexByte(left, '\n') + 1
		w.rest = bytes.Clone(left[torn:end])
		left = left[end:]
	}
	w.lose(left)
	return err
}

// write writes b, within Patience.
func (w *Writer) write(b []byte) (int, error) {
	if file, ok := w.out.(*os.File); ok && w.Patience > 0 {
		_ = file.SetWriteDeadline(time.Now().Add(w.Patience)) // fails for a regular file, which never waits
	}
	return w.out.Write(b)
}

// lose counts lines and begins an empty block.
func (w *Writer) lose(lines []byte) {
	w.lost += uint64(bytes.Count(lines, []byte{'\n'}))
	w.block = w.block[:0]
}

// Reset continues with another file. A line of which the old file has a part is lost.
func (w *Writer) Reset(out io.Writer) {
	if len(w.rest) > 0 {
		w.lost, w.rest = w.lost+1, nil
	}
	w.out = out
}

// Lost returns how many lines did not get into the file since the last call.
func (w *Writer) Lost() (n uint64) {
	n, w.lost = w.lost, 0
	return n
}

var errNotEnd = errors.New("not the end of a regular file")

// takeBack cuts off the last n bytes of a file, if this process was the last to write to it: after an
// upgrade the old process may append to the same file for a while.
func takeBack(out io.Writer, n int) error {
	file, ok := out.(*os.File)
	if !ok {
		return errNotEnd
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	end, err := file.Seek(0, io.SeekCurrent) // O_APPEND leaves it behind what was written
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() != end {
		return errNotEnd
	}
	return file.Truncate(end - int64(n))
}
