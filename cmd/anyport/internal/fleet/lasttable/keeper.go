package lasttable

import (
	"sync"
	"time"
)

// Keeper writes the newest table to the disk, on a goroutine that may wait for it. Its methods may be called from any
// goroutine.
type Keeper struct {
	directory, file string // "": there is no state directory

	mu      sync.Mutex
	next    *string // to be written; nil: nothing
	busy    bool    // the goroutine runs
	last    string  // what is on the disk, as far as this process knows
	problem error   // of the last write
	over    sync.WaitGroup
}

// NewKeeper is for the table of a config file in a state directory; "": there is no directory, and nothing is written.
func NewKeeper(directory, file string) *Keeper { return &Keeper{directory: directory, file: file} }

// Keep has a table written. It returns at once.
func (k *Keeper) Keep(text string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.directory == "" || text == "" || text == k.last {
		return
	}
	k.next, k.last = &text, text
	if !k.busy {
		k.busy = true
		k.over.Go(k.run) // ends when all is written
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
		err := Write(k.directory, k.file, []byte(*next))
		k.mu.Lock()
		k.problem = err
		k.mu.Unlock()
	}
}

// keepTimeout bounds how long the end of a process waits for a disk.
const keepTimeout = 2 * time.Second

// Wait waits until all is written, for a bounded time.
func (k *Keeper) Wait() {
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
		return "the table cannot be written: " + k.problem.Error()
	}
	return ""
}
