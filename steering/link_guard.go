package steering

import (
	"errors"
	"fmt"
)

// guardLink has the link outlive the tun device when this process dies. Were the link
// released first, the local routes would lead to the host's own listeners until the device
// has ended: 10 to 30 ms.
func (s *Steering) guardLink() error {
	if s.routes == nil || s.loaded.Link == nil {
		return nil
	}
	if _, ends := s.routes.TUNFD(); !ends {
		return nil
	}
	if err := s.guard.Hold(s.loaded.Link.FD()); err != nil {
		return fmt.Errorf("keep the link of the steering program until the local routes are gone: %w", err)
	}
	return nil
}

// closeLinkReferences closes all that this process has of the link.
func (s *Steering) closeLinkReferences() error {
	return errors.Join(s.guard.Close(), s.loaded.CloseLink())
}
