package lasttable

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"anyport/cmd/anyport/internal/fleet"
)

// writeAgain is how long a table that could not be written waits for another attempt: a disk that was full gets room.
const writeAgain = 10 * time.Second

// Keeper writes the newest table to the disk, on a goroutine that may wait for it. Its methods may be called from any
// goroutine.
type Keeper struct {
	directory, file string // "": there is no state directory
	log             *slog.Logger

	mu      sync.Mutex
	next    *string // to be written; nil: nothing
	busy    bool    // the goroutine runs
	last    string  // what was to be written last
	problem error   // of the last write
	again   *time.Timer
	over    sync.WaitGroup
	stopped bool // nothing is tried again
}

// NewKeeper is for the table of a config file in a state directory; "": there is no directory, and nothing is written.
func NewKeeper(directory, file string, log *slog.Logger) *Keeper {
	return &Keeper{directory: directory, file: file, log: log}
}

// Keep has a table written. It returns at once.
func (k *Keeper) Keep(text string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.directory == "" || text == "" || text == k.last {
		return
	}
	k.last = text
	k.begin(text)
}

// begin begins to write. The caller holds mu.
func (k *Keeper) begin(text string) {
	k.next = &text
	if !k.busy {
		k.busy = true
		k.over.Go(k.run) // ends when there is nothing more to write
	}
}

// run writes until there is nothing more to write.
func (k *Keeper) run() {
	for {
		k.mu.Lock()
		next := k.next
		k.next, k.busy = nil, next != nil
		k.mu.Unlock()
		if next == nil {
			return
		}
		k.note(*next, k.store(*next))
	}
}

// store writes a table that is not there yet.
func (k *Keeper) store(text string) error {
	if there, err := Read(k.directory, k.file); err == nil && string(there) == text {
		return nil
	}
	return Write(k.directory, k.file, []byte(text))
}

// note notes how a write went. What could not be written is tried again until it is, or until there is a newer table.
func (k *Keeper) note(text string, err error) {
	k.mu.Lock()
	before := k.problem
	k.problem = err
	if err != nil && !k.stopped {
		k.again = time.AfterFunc(writeAgain, func() { k.retry(text) })
	}
	k.mu.Unlock()
	table := fleet.HashOf([]byte(text)).Short()
	switch {
	case err != nil && before == nil:
		k.log.Warn("the table in service is not on the disk: it serves, and is written when that can be done", "table", table, "problem", err,
			"hint", "make room there, or let this user write there")
	case err == nil && before != nil:
		k.log.Info("the table in service is on the disk again", "table", table)
	}
}

// retry writes a table once more, if there is no newer one.
func (k *Keeper) retry(text string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if text == k.last && !k.stopped {
		k.begin(text)
	}
}

// Stop ends the attempts: another process writes now, or none.
func (k *Keeper) Stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stopped = true
	if k.again != nil {
		k.again.Stop()
	}
}

// keepTimeout bounds how long the end of a process waits for a disk.
const keepTimeout = 2 * time.Second

// Wait waits until all is written, for a bounded time.
func (k *Keeper) Wait() {
	k.Stop()
	done := make(chan struct{})
	go func() { // ends with the write
		k.over.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(keepTimeout):
	}
}

// Problem is why the last table is not on the disk; "" if it is.
func (k *Keeper) Problem() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.directory == "":
		return "there is no state directory, so a start without the source serves nothing: set StateDirectory= in the unit, or name one with --state"
	case k.problem != nil:
		return fmt.Sprintf("the table in service is not there, so a start without the source serves an older one, or none: %v: make room, or let this user write there; anyport tries again every %v", k.problem, writeAgain)
	}
	return ""
}
