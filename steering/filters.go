package steering

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"anyport/steering/ingress"
)

// sweepFilters removes the filters of tc that dead processes have left on a kernel without TCX: they do
// nothing. Where this process may not look whether one does anything, no anyport may be there that it could
// belong to.
func (s *Steering) sweepFilters() {
	var removed []string
	all, err := ingress.Filters()
	errs := []error{err}
	for _, f := range all {
		dead, err := f.Idle()
		if errors.Is(err, unix.EPERM) && !s.outlives {
			others, listErr := s.otherInstances()
			dead, err = len(others) == 0, listErr
		}
		if err != nil || !dead {
			continue
		}
		errs = append(errs, f.Remove())
		removed = append(removed, f.String())
	}
	if err := errors.Join(errs...); err != nil {
		s.log.Warn("cannot remove filters of tc that a dead process has left", "error", err)
	}
	if len(removed) > 0 {
		s.log.Info("removed filters of tc that a dead process has left", "filters", removed)
	}
}

// removeFilters leaves those that do something if an instance lives: they may be its.
func (u *unloader) removeFilters() error {
	others, err := u.otherInstances()
	if err != nil {
		return err
	}
	all, err := ingress.Filters()
	if err != nil {
		return fmt.Errorf("look for filters of tc: %w", err)
	}
	for _, f := range all {
		if dead, err := f.Idle(); len(others) > 0 && (err != nil || !dead) {
			continue
		}
		if err := u.removeOrNote(f.String(), f.Remove); err != nil {
			return err
		}
	}
	return nil
}
