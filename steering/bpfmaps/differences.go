package bpfmaps

import (
	"fmt"
	"slices"
)

// Differences collects what differs, a line for each thing, up to maxDifferences.
type Differences struct {
	first []string
	more  int
}

// maxDifferences bounds the lines; of the others only the number is kept.
const maxDifferences = 20

// Add notes a difference.
func (d *Differences) Add(format string, args ...any) {
	if len(d.first) < maxDifferences {
		d.first = append(d.first, fmt.Sprintf(format, args...))
		return
	}
	d.more++
}

// Lines returns what was noted, sorted.
func (d *Differences) Lines() []string {
	slices.Sort(d.first)
	if d.more == 0 {
		return d.first
	}
	return append(d.first, fmt.Sprintf("and %d more", d.more))
}
