package fleet

import (
	"slices"
	"time"
)

// Pointer says which table is current. It is one key of the store, so a host never sees half of a
// change.
type Pointer struct {
	Table    Hash   `json:"table"`              // of each host that is not in Trial; "": nothing was pushed yet
	Trial    *Trial `json:"trial,omitempty"`    // nil: all hosts take Table
	Previous Hash   `json:"previous,omitempty"` // what Table was before
	Serial   int64  `json:"serial"`             // one more with each change

	Revision int64 `json:"-"` // of the key in the store; 0: the key is not there
}

// Trial is a table that only some hosts take, while the push that tries it runs.
type Trial struct {
	Table Hash      `json:"table"`
	Hosts []string  `json:"hosts"`
	Stage string    `json:"stage"` // as it was typed, such as "10%"
	Began time.Time `json:"began"` // of the stage
	Lease int64     `json:"lease"` // of its push: once that has ended, the trial is over
}

// Push is a push that runs. Its key is held by a lease, so it goes with the process.
type Push struct {
	By    string    `json:"by"` // user@host
	PID   int       `json:"pid"`
	Began time.Time `json:"began"`
	Table Hash      `json:"table"`

	Lease int64 `json:"-"` // which holds the key
}

// State is what a host needs to know, read at one moment.
type State struct {
	Pointer Pointer
	Push    *Push // nil: none runs
}

// Table is the table that a host takes; "" if there is none yet. A trial whose push has ended, or was
// replaced by another one, does not count.
func (s State) Table(host string) Hash {
	if s.OnTrial(host) {
		return s.Pointer.Trial.Table
	}
	return s.Pointer.Table
}

// OnTrial reports whether a host takes the table of a trial.
func (s State) OnTrial(host string) bool {
	return s.TrialRuns() && slices.Contains(s.Pointer.Trial.Hosts, host)
}

// TrialRuns reports whether there is a trial, and its push still runs.
func (s State) TrialRuns() bool {
	t := s.Pointer.Trial
	return t != nil && s.Push != nil && s.Push.Lease == t.Lease
}
