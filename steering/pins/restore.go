package pins

import (
	"errors"
	"fmt"
	"slices"

	"anyport/bpf"
	"anyport/steering/program"
)

// Restore pins e again if somebody has removed some of the files: without them the steering would end
// with this process, and the host's own listeners would answer.
func (p *Dir) Restore(e *program.Loaded) (restored bool, err error) {
	if p == nil || !p.Saved || e.Link == nil {
		return false, nil
	}
	names, err := p.Names()
	if err != nil {
		return false, fmt.Errorf("steering.pin: %w", err)
	}
	if slices.Contains(names, bpf.SteerProgSteer) && slices.Contains(names, LinkName) && containsAll(names, e) {
		return false, nil
	}
	if err := p.pinAgain(e); err != nil {
		return false, fmt.Errorf("somebody has removed what was pinned in %s, and it cannot be put back: restart anyport: %w", p.Path, err)
	}
	return true, nil
}

// pinAgain pins e in place of what is left of it. If that fails, Saved stays true, so that the next call
// of Restore tries again.
func (p *Dir) pinAgain(e *program.Loaded) error {
	err := errors.Join(e.Unpin(), p.Remove())
	p.Saved = true
	if err != nil {
		return err
	}
	return p.pinAll(e)
}

// containsAll reports whether every map of e has a file.
func containsAll(names []string, e *program.Loaded) bool {
	for name := range e.Maps {
		if !slices.Contains(names, name) {
			return false
		}
	}
	return true
}
