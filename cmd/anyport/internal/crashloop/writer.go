package crashloop

import (
	"sync"
	"time"
)

// writer writes the newest records on a goroutine of its own: neither the goroutine that decides nor
// a reload waits for a disk that hangs. Records that were replaced before it came to them are not
// written. A zero writer does nothing.
type writer struct {
	dir directory

	mu      sync.Mutex
	next    *snapshot     // to be written; nil: all is written
	busy    bool          // the goroutine runs
	written chan struct{} // closed when all is written; nil: it is
	problem error         // of the last write
}

// snapshot is what one write puts on the disk.
type snapshot struct {
	records Records
	hash    Hash   // of text
	text    []byte // of a config that may not be kept yet; nil: none
}

// write asks for a write, and returns at once.
func (w *writer) write(s snapshot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.next != nil && s.text == nil {
		s.hash, s.text = w.next.hash, w.next.text // not written yet
	}
	w.next = &s
	if w.written == nil {
		w.written = make(chan struct{})
	}
	if !w.busy {
		w.busy = true
		go w.run() // ends when all is written and on the disk
	}
}

// run writes until there is nothing more to write. The next process sees what is written, even if this
// one dies before it is on the disk: only the death of the host needs that, and a sync may take
// seconds.
func (w *writer) run() {
	for s := w.take(); s != nil; s = w.take() {
		w.done(w.dir.save(*s))
		_ = w.dir.sync() // an error shows in the next write, if it matters
	}
}

// take returns what is to be written; nil ends run.
func (w *writer) take() (s *snapshot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, w.next = w.next, nil
	w.busy = s != nil
	return s
}

// done wakes those who wait, unless there is more to write.
func (w *writer) done(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problem = err
	if w.next == nil {
		close(w.written)
		w.written = nil
	}
}

// flush waits until all is written, but no longer than limit, and reports whether it is.
func (w *writer) flush(limit time.Duration) bool {
	w.mu.Lock()
	written := w.written
	w.mu.Unlock()
	if written == nil {
		return true
	}
	alarm := time.NewTimer(limit)
	defer alarm.Stop()
	select {
	case <-written:
		return true
	case <-alarm.C:
		return false
	}
}

// lastProblem is why the last write failed.
func (w *writer) lastProblem() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.problem
}

// save writes the text before the records that name it.
func (d directory) save(s snapshot) error {
	if s.text != nil {
		if err := d.keep(s.hash, s.text); err != nil {
			return err
		}
	}
	if err := d.write(s.records); err != nil {
		return err
	}
	named := []Hash{s.records.SetAside}
	for _, a := range []*Attempt{s.records.Running, s.records.Lasted} {
		if a != nil {
			named = append(named, a.Hash)
		}
	}
	return d.removeBut(named...)
}
