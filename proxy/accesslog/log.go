package proxy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"anyport/config"
	"anyport/proxy/logfile"
	"anyport/proxy/route"
)

// accessQueue is how many records may wait for the writer: about 1 MiB.
const accessQueue = 8192

// accessPause is how long a line may wait for others to be written with it.
const accessPause = 100 * time.Millisecond

// accessFarewell is how long Close and Share wait for a writer that is stuck, as on a disk that hangs.
const accessFarewell = 5 * time.Second

// accessPatience is how long a pipe may take no line while others wait in the queue, before the lines in
// the buffer are lost: the writer has other things to do, such as to open another file.
const accessPatience = 2 * time.Second

// AccessLog writes one line for each conn and flow that has ended, and each second one for
// all that were refused alike. A writer too slow for the traffic loses lines of those
// that have ended, which are counted and reported in the log; it never delays the traffic.
type AccessLog struct {
	path    string // "" = stderr
	stderr  io.Writer
	format  string
	log     *slog.Logger
	records chan route.Record
	sums    sums
	summed  chan struct{} // there are sums to write before long
	reopen  chan struct{}
	shares  chan share
	closing chan struct{} // closed by Close
	written chan error    // what the writer ended with
	lost    atomic.Uint64 // that found the queue full, since the writer looked
	total   atomic.Uint64 // of lines that were lost, as far as the writer has looked

	losses  losses           // the writer's, as is overdue
	overdue <-chan time.Time // when losses has something to report; nil: nothing
}

// OpenAccessLog opens what log.access names, or returns nil where that is "".
// stderr, where it names that, must not block. A file that is open already is the log's
// from then on, on error too; nil: it is opened by its name. Who opened the log owes one
// Close.
func OpenAccessLog(c config.Log, stderr io.Writer, file *os.File, log *slog.Logger) (*AccessLog, error) {
	if c.Access == "" {
		return nil, nil
	}
	a := &AccessLog{
		stderr:  stderr,
		format:  c.Format,
		log:     log,
		records: make(chan route.Record, accessQueue),
		summed:  make(chan struct{}, 1),
		reopen:  make(chan struct{}, 1),
		shares:  make(chan share),
		closing: make(chan struct{}),
		written: make(chan error, 1),
	}
	if c.Access != "stderr" {
		a.path = c.Access
	}
	var to io.WriteCloser = file
	if file == nil {
		var err error
		if to, err = a.open(); err != nil {
			return nil, err
		}
	}
	// The writer is ended by Close.
	go func() { a.written <- a.write(to) }()
	return a, nil
}

// Record queues r for the writer, or counts it in a sum. It never waits for the writer, and
// may be called from any goroutine; what comes after Close is not written.
func (a *AccessLog) Record(r route.Record) {
	if r.Refused() {
		if a.sums.add(r) {
			wake(a.summed)
		}
		return
	}
	select {
	case a.records <- r:
	default:
		a.lost.Add(1)
	}
}

// Reopen has the writer open the file by its name again, if that is another one by now:
// logrotate has moved it.
func (a *AccessLog) Reopen() {
	wake(a.reopen)
}

func wake(writer chan<- struct{}) {
	select {
	case writer <- struct{}{}:
	default: // one is under way already
	}
}

// Lost is the number of lines that are not in the file.
func (a *AccessLog) Lost() uint64 { return a.total.Load() + a.lost.Load() }

// Close writes what is queued and closes the file. It must be called once.
func (a *AccessLog) Close() error {
	close(a.closing)
	select {
	case err := <-a.written:
		return err
	case <-time.After(accessFarewell):
		return errors.New("log.access: what is queued is lost, for the file takes nothing: is it on a disk that hangs?")
	}
}

func (a *AccessLog) open() (io.WriteCloser, error) {
	if a.path == "" {
		return unclosed{a.stderr}, nil
	}
	return OpenAccessFile(a.path)
}

// unclosed is a file that others go on to use.
type unclosed struct{ io.Writer }

// Close does nothing.
func (unclosed) Close() error { return nil }

// write is the writer: it owns file until the last record has been written.
func (a *AccessLog) write(file io.WriteCloser) error {
	out := logfile.NewWriter(file)
	out.Patience = accessPatience
	handler := accessHandler(out, a.format)
	var due, sum <-chan time.Time // nil while the buffer is empty; while there are no sums
	for {
		select {
		case <-a.closing:
			a.drain(handler)
			a.sumUp(handler)
			a.flush(out)
			a.leave(out, nil)
			return file.Close()
		case r := <-a.records:
			a.line(handler, accessLine(r))
			if due == nil {
				due = time.After(accessPause)
			}
		case <-due:
			a.flush(out)
			due = nil
		case to := <-a.shares:
			a.flush(out)
			to.file <- file.(*os.File)
			<-to.over
		case <-a.summed:
			sum = time.After(sumPause)
		case <-sum:
			a.sumUp(handler)
			a.flush(out)
			sum = nil
		case <-a.reopen:
			a.flush(out)
			if next := a.swap(file); next != file {
				file = next
				a.leave(out, file)
			}
		case <-a.overdue:
			a.overdue = nil
			a.warn(0, nil)
		}
	}
}

// drain formats what is queued.
func (a *AccessLog) drain(handler slog.Handler) {
	for {
		select {
		case r := <-a.records:
			a.line(handler, accessLine(r))
		default:
			return
		}
	}
}

// sumUp formats the sums.
func (a *AccessLog) sumUp(handler slog.Handler) {
	for _, of := range a.sums.take() {
		a.line(handler, of.line())
	}
}

// line formats a line into out. An error of the file shows in flush.
func (a *AccessLog) line(handler slog.Handler, line slog.Record) {
	if err := handler.Handle(context.Background(), line); err != nil {
		a.lost.Add(1)
	}
}

// flush writes what is buffered, and reports what the file did not take.
func (a *AccessLog) flush(out *logfile.Writer) {
	err := out.Flush()
	a.warn(out.Lost(), err)
}

// leave makes out go on with another file; nil: with none. Lines that the file before has lost are reported
// at once.
func (a *AccessLog) leave(out *logfile.Writer, next io.Writer) {
	out.Reset(next)
	a.losses.endOfFile()
	a.warn(out.Lost(), nil)
}

// warn counts lines that the file did not take, and those that found the queue full, and reports them.
func (a *AccessLog) warn(lost uint64, err error) {
	full := a.lost.Swap(0)
	if err == nil && full > 0 {
		err = errBehind
	}
	a.total.Add(lost + full)
	now := time.Now()
	a.losses.note(lost+full, err, now)
	switch of := a.losses.report(now); {
	case of.cause != nil:
		a.log.Warn("the access log is not complete", "lost_lines", of.lines, "error", of.cause)
	case of.lines > 0:
		a.log.Warn("the access log is not complete", "lost_lines", of.lines)
	case a.losses.unreported > 0 && a.overdue == nil:
		a.overdue = time.After(a.losses.wait(now))
	}
}
