package bpfmaps

import (
	"fmt"
	"slices"
)

// Differences is what differs.
type Differences struct {
	first []string
	more  int
}

// maxDifferences is how many differences are told.
const maxDifferences = 20

func (d *Differences) Add(format string, args ...any) {
	if len(d.first) < maxDifferences {
		d.first = append(d.first, fmt.Sprintf(format, args...))
		return
	}
	d.more++
}

func (d *Differences) Lines() []string {
	slices.Sort(d.first)
	if d.more == 0 {
		return d.first
	}
	return append(d.first, fmt.Sprintf("and %d more", d.more))
}
