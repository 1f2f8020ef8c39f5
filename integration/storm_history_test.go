package integration

import (
	"fmt"
	"slices"
	"sort"
	"time"
)

// A history is what was seen of an anyport that reloads to and fro between two
// tables: number 0 is in force at first, each reload puts the next one in force, and
// the even numbers are one table, the odd ones the other. Times are of one clock.
type history struct {
	reloads []span // in their order, none before the end of the last
	trials  []trial
}

// A span begins before the first thing that could have an effect, and ends after the last.
type span struct{ begun, ended time.Time }

// A trial is one question of a client, and what came of it.
type trial struct {
	span
	asked  string    // protocol and dst
	valid  [2]string // the answer by each table
	answer string
}

// cut is what a conn meets that one table accepts and the next one has no route for:
// it ends without an answer.
const cut = "cut"

// faults tells of all trials whose answer no table gives that could be in force.
func (h history) faults() (faults []error) {
	for _, x := range h.trials {
		oldest, newest := h.inForce(x.span)
		if !x.fits(oldest, newest) {
			faults = append(faults, fmt.Errorf("%s: %s, tables %d to %d say %q", x.asked, x.answer, oldest, newest, x.answers(oldest, newest)))
		}
	}
	return faults
}

// inForce gives the tables that a packet could have met in s.
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

// amid counts the trials that a reload met under way.
func (h history) amid() (n int) {
	for _, x := range h.trials {
		if oldest, newest := h.inForce(x.span); newest > oldest {
			n++
		}
	}
	return n
}
