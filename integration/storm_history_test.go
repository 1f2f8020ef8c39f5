package integration

import (
	"fmt"
	"slices"
	"sort"
	"time"
)

// A history records an anyport that reloads back and forth between two tables. Number 0 is
// in force at first, and each reload puts the next one in force. Even numbers are one
// table, odd numbers the other. All times are of one clock.
type history struct {
	reloads []span // in their order, none before the end of the last
	trials  []trial
}

// A span begins before the first thing that could have an effect, and ends after the last.
type span struct{ begun, ended time.Time }

// A trial is one question of a client, and its result.
type trial struct {
	span
	asked  string    // protocol and dst
	valid  [2]string // the answer by each table
	answer string
}

// cut is the result of a conn that one table accepts and for which the next one has no
// route: it ends without an answer.
const cut = "cut"

// faults reports the trials whose answer comes from no table that could be in force.
func (h history) faults() (faults []error) {
	for _, x := range h.trials {
		oldest, newest := h.inForce(x.span)
		if !x.fits(oldest, newest) {
			faults = append(faults, fmt.Errorf("%s: %s, tables %d to %d say %q", x.asked, x.answer, oldest, newest, x.answers(oldest, newest)))
		}
	}
	return faults
}

// inForce returns the tables that a packet could have met in s.
func (h history) inForce(s span) (oldest, newest int) {
	oldest = sort.Search(len(h.reloads), func(i int) bool { return !h.reloads[i].ended.Before(s.begun) })
	newest = sort.Search(len(h.reloads), func(i int) bool { return h.reloads[i].begun.After(s.ended) })
	return oldest, newest
}

func (x trial) fits(oldest, newest int) bool {
	if x.answer == cut {
		oneRefuses := (x.valid[0] == refused) != (x.valid[1] == refused)
		return newest > oldest && oneRefuses
	}
	return slices.Contains(x.answers(oldest, newest), x.answer)
}

// answers are those of the tables from oldest to newest.
func (x trial) answers(oldest, newest int) []string {
	if oldest == newest {
		return []string{x.valid[oldest%2]}
	}
	return x.valid[:]
}

// amid counts the trials during which a reload happened.
func (h history) amid() (n int) {
	for _, x := range h.trials {
		if oldest, newest := h.inForce(x.span); newest > oldest {
			n++
		}
	}
	return n
}
