package proxy

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"anyport/config"
	"anyport/proxy/route"
)

// accessQueue is how many records may wait for the writer: about 1 MiB.
const accessQueue = 8192

// accessPause is how long a line may wait for others to be written with it.
const accessPause = 100 * time.Millisecond

// AccessLog writes one line for each conn and flow that has ended. A writer too
// slow for the traffic loses lines, which are counted and told in the log; it
// never holds up the traffic.
type AccessLog struct {
	path    string // "" = standard error
	format  string
	log     *slog.Logger
	records chan route.Record
	reopen  chan struct{}
	closing chan struct{} // closed by Close
	written chan error    // what the writer ended with
	lost    atomic.Uint64
}

// OpenAccessLog opens what log.access names, or returns nil where that is "".
// Who opened it owes one Close.
func OpenAccessLog(c config.Log, log *slog.Logger) (*AccessLog, error) {
	if c.Access == "" {
		return nil, nil
	}
	a := &AccessLog{
		format:  c.Format,
		log:     log,
		records: make(chan route.Record, accessQueue),
		reopen:  make(chan struct{}, 1),
		closing: make(chan struct{}),
		written: make(chan error, 1),
	}
	if c.Access != "stderr" {
		a.path = c.Access
	}
	file, err := a.open()
	if err != nil {
		return nil, err
	}
	// The writer is ended by Close.
	go func() { a.written <- a.write(file) }()
	return a, nil
}

// Record queues r for the writer. It never blocks, and may be called from any
// goroutine; what comes after Close is not written.
func (a *AccessLog) Record(r route.Record) {
	select {
	case a.records <- r:
	default:
		a.lost.Add(1)
	}
}

// Reopen has the writer open the file by its name again: logrotate has moved it.
func (a *AccessLog) Reopen() {
	select {
	case a.reopen <- struct{}{}:
	default: // one is under way already
	}
}

// Close writes what is queued and closes the file. It must be called once.
func (a *AccessLog) Close() error {
	close(a.closing)
	return <-a.written
}

func (a *AccessLog) open() (*os.File, error) {
	if a.path == "" {
		return os.Stderr, nil
	}
	file, err := os.OpenFile(a.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return nil, fmt.Errorf("log.access: %w: name a file that this user may write, or \"stderr\"", err)
	}
	return file, nil
}

func (a *AccessLog) close(file *os.File) error {
	if file == os.Stderr {
		return nil
	}
	return file.Close()
}

// write is the writer: it owns file until the last record has been written.
func (a *AccessLog) write(file *os.File) error {
	out := bufio.NewWriter(file)
	lines := accessHandler(out, a.format)
	var due <-chan time.Time // nil while the buffer is empty
	for {
		select {
		case <-a.closing:
			a.drain(lines)
			a.flush(out, file)
			return a.close(file)
		case r := <-a.records:
			a.line(lines, r)
			if due == nil {
				due = time.After(accessPause)
			}
		case <-due:
			a.flush(out, file)
			due = nil
		case <-a.reopen:
			a.flush(out, file)
			file = a.swap(file)
			out.Reset(file)
		}
	}
}

// drain formats what is queued.
func (a *AccessLog) drain(lines slog.Handler) {
	for {
		select {
		case r := <-a.records:
			a.line(lines, r)
		default:
			return
		}
	}
}

// line formats r into the buffer. An error of the file shows here or in flush.
func (a *AccessLog) line(lines slog.Handler, r route.Record) {
	if err := lines.Handle(context.Background(), accessLine(r)); err != nil {
		a.lost.Add(1)
	}
}

// flush also resets the buffer: bufio keeps its first error for ever, while a
// full disk may have room again.
func (a *AccessLog) flush(out *bufio.Writer, file *os.File) {
	err := out.Flush()
	if err != nil {
		out.Reset(file)
	}
	if lost := a.lost.Swap(0); lost > 0 || err != nil {
		a.log.Warn("the access log is not complete", "lost_lines", lost, "error", err)
	}
}

// swap opens the file again; where that fails the old one is written on.
func (a *AccessLog) swap(old *os.File) *os.File {
	file, err := a.open()
	if err != nil {
		a.log.Error("the access log goes on in its old file", "error", err)
		return old
	}
	if err := a.close(old); err != nil {
		a.log.Warn("closing the old access log", "error", err)
	}
	return file
}
