package accesslog

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"anyport/config"
	"anyport/proxy/route"
)

const (
	// pause is how long a line may wait for others to be written with it.
	pause = 100 * time.Millisecond
	// farewell is how long Close, Share and Reopen wait for a writer that is stuck, as on a disk that hangs.
	farewell = 5 * time.Second
	// patience is how long a pipe or socket may take no line while others wait in the queue, before the
	// lines in the buffer are lost: the writer has other things to do, such as to open another file.
	patience = 2 * time.Second
)

// Log is an access log. A destination that is too slow for the traffic, full or gone loses lines, which are
// counted and reported in the log; it never delays the traffic.
type Log struct {
	log     *slog.Logger
	queue   queue
	sums    sums
	summed  chan struct{} // there are sums to write before long
	reopens chan reopen
	shares  chan share
	closing chan struct{} // closed by Close
	written chan error    // what the writer ended with
	total   atomic.Uint64 // of lines that were lost, as far as the writer has looked

	// Of the writer.
	to      destination
	spare   []route.Record
	losses  losses
	overdue <-chan time.Time // when losses has something to report; nil: nothing
}

// destination is where lines go. It belongs to the writer's goroutine.
type destination interface {
	put(e *entry)          // makes a line of e, which flush sends; it may flush, too
	flush() error          // what was put is sent now, or lost
	lost() uint64          // lines lost since the last call
	reopen() (bool, error) // after a rotation or a restart of the other side; false: there was no need, or it failed
	shared() *os.File      // the file that a new process goes on with; nil: it opens its own
	close() error
}

// Open opens what log.access names, or returns nil if that is "". stderr, where it names that, must not
// block. A file that is open already is the log's from then on, on error too; nil: it is opened by its
// name. The caller owes one Close.
func Open(c config.Log, stderr io.Writer, file *os.File, log *slog.Logger) (*Log, error) {
	if c.Access == "" {
		return nil, nil
	}
	to, err := openDestination(c, stderr, file)
	if err != nil {
		return nil, err
	}
	a := newLog(to, log)
	// The writer is ended by Close.
	go func() { a.written <- a.write() }()
	return a, nil
}

func newLog(to destination, log *slog.Logger) *Log {
	return &Log{
		log: log, to: to, queue: newQueue(),
		summed: make(chan struct{}, 1), reopens: make(chan reopen), shares: make(chan share),
		closing: make(chan struct{}), written: make(chan error, 1),
	}
}

// Record queues r for the writer, or counts it in a sum. It never waits for the writer, and may be called
// from any goroutine; what comes after Close is not written.
func (a *Log) Record(r route.Record) {
	if r.Refused() {
		if a.sums.add(&r) {
			wake(a.summed)
		}
		return
	}
	a.queue.add(&r)
}

// Lost is the number of lines that did not get to the destination.
func (a *Log) Lost() uint64 { return a.total.Load() + a.queue.full() }

// Close writes what is queued and closes the destination. It must be called once.
func (a *Log) Close() error {
	close(a.closing)
	select {
	case err := <-a.written:
		return err
	case <-time.After(farewell):
		return errors.New("log.access: what is queued is lost, since the destination takes nothing: is it on a disk that hangs?")
	}
}

// write is the writer: the destination is its own until the last record has been written.
func (a *Log) write() error {
	var due, sum <-chan time.Time // nil while no record waits; while there are no sums
	for {
		select {
		case <-a.closing:
			a.writeQueued()
			a.sumUp()
			a.flush()
			err := a.to.close()
			a.losses.endOfFile() // the last report is due now
			a.warn(a.to.lost(), nil)
			return err
		case <-a.queue.some:
			if due == nil {
				due = time.After(pause)
			}
		case <-a.queue.many:
			a.writeQueued()
		case <-due:
			a.writeQueued()
			due = nil
		case to := <-a.shares:
			a.writeQueued()
			to.file <- a.to.shared()
			<-to.over
		case <-a.summed:
			sum = time.After(sumPause)
		case <-sum:
			a.sumUp()
			a.flush()
			sum = nil
		case order := <-a.reopens:
			a.writeQueued()
			order.done <- a.reopen()
		case <-a.overdue:
			a.overdue = nil
			a.warn(0, nil)
		}
	}
}

// writeQueued writes what is queued. Lines that found the queue full are lost.
func (a *Log) writeQueued() {
	records, full := a.queue.take(a.spare)
	for i := range records {
		e := entryOf(&records[i])
		a.to.put(&e)
	}
	clear(records) // their texts
	a.spare = records
	a.flush()
	if full > 0 {
		a.warn(full, errBehind)
	}
}

// sumUp writes the sums.
func (a *Log) sumUp() {
	for _, s := range a.sums.take() {
		e := s.entry()
		a.to.put(&e)
	}
}

// flush sends what was put, and reports what the destination did not take.
func (a *Log) flush() {
	err := a.to.flush()
	a.warn(a.to.lost(), err)
}

// reopen is what Reopen asks for. Lines that the destination before has lost are reported at once.
func (a *Log) reopen() error {
	changed, err := a.to.reopen()
	if changed {
		a.losses.endOfFile()
		a.warn(a.to.lost(), nil)
	}
	return err
}

// warn counts lost lines and reports them.
func (a *Log) warn(lost uint64, err error) {
	a.total.Add(lost)
	now := time.Now()
	a.losses.note(lost, err, now)
	switch of := a.losses.report(now); {
	case of.cause != nil:
		a.log.Warn("the access log is not complete", "lost_lines", of.lines, "error", of.cause)
	case of.lines > 0:
		a.log.Warn("the access log is not complete", "lost_lines", of.lines)
	case a.losses.unreported > 0 && a.overdue == nil:
		a.overdue = time.After(a.losses.wait(now))
	}
}
