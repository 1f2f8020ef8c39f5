package steering

import (
	"errors"
	"fmt"
	"slices"

	"anyport/bpf"
)

// restore pins e again where somebody has removed some of the files: without them the end of this
// process would be the end of the steering, and the host's own listeners would answer.
func (p *pins) restore(e *estate) (restored bool, err error) {
	if p == nil || !p.kept || e.link == nil {
		return false, nil
	}
	names, err := p.names()
	if err != nil {
		return false, fmt.Errorf("steering.pin: %w", err)
	}
	if slices.Contains(names, bpf.SteerProgSteer) && slices.Contains(names, pinLink) && containsAll(names, e) {
		return false, nil
	}
	if err := p.again(e); err != nil {
		return false, fmt.Errorf("somebody has removed what was pinned in %s, and it cannot be put back: restart anyport: %w", p.path, err)
	}
	return true, nil
}

// again pins e in the place of what is left of it. The pins stay wanted, whatever comes of it.
func (p *pins) again(e *estate) error {
	err := errors.Join(e.unpin(), p.remove())
	p.kept = true
	if err != nil {
		return err
	}
	return p.pin(e)
}

func containsAll(names []string, e *estate) bool {
	for name := range e.maps {
		if !slices.Contains(names, name) {
			return false
		}
	}
	return true
}
