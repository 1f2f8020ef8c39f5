package steering

import (
	"fmt"
	"slices"
	"strings"

	"anyport/steering/inflight"
)

// Heir holds the steering of another process in case that it dies. It belongs to one goroutine.
type Heir struct{ guard inflight.Files }

// Hold has the links in in outlive the tun device also where this process is the last to die: see guardLink. The
// descriptors stay the caller's. With none it lets go.
func (h *Heir) Hold(in Inheritance) error {
	var links []int
	for name, fd := range in {
		if name == Link || strings.HasPrefix(name, FastLinks) || strings.HasPrefix(name, FleetLinks) {
			links = append(links, fd)
		}
	}
	slices.Sort(links)
	if !in.Has(fdTUN) { // what is pinned outlives both
		links = nil
	}
	if err := h.guard.Hold(links...); err != nil {
		return fmt.Errorf("keep the links of another process's programs until its local routes are gone: %w", err)
	}
	return nil
}
