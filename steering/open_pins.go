package steering

import (
	"errors"

	"anyport/config"
	"anyport/steering/pins"
)

// openPins opens the pins, and what a dead process has left in them. That is removed if the link
// is missing, which makes it useless; and if anyport has chosen the directory and the link is
// detached: another namespace had the same number before.
func (s *Steering) openPins(cfg *config.Config, in Inheritance) (err error) {
	_, living := in[fdProgram]
	fd, locked := in.take(fdPins)
	at, err := s.pinPlace(cfg)
	switch {
	case err != nil:
	case locked:
		s.pins, err = pins.Inherit(at, fd)
	case at.Auto && living: // the process before found no place
	case at.Auto:
		s.pins, err = s.openAuto(at)
	case at.Path != "":
		s.pins, err = pins.Open(at)
	}
	if err != nil || s.pins == nil || locked && living {
		return err
	}
	s.loaded, err = s.pins.Load()
	if err != nil || s.loaded.Link != nil && !(at.Auto && s.linkIsDead()) {
		s.pins.Saved = true
		return err
	}
	err = s.pins.Remove()
	return errors.Join(err, s.loaded.Close())
}

// openAuto returns nil where nothing is to be pinned.
func (s *Steering) openAuto(at pins.Place) (*pins.Dir, error) {
	if why := at.Reachable(); why != nil {
		s.log.Info("the steering is not pinned: it ends with this process, and so do the local routes", "because", why)
		return nil, nil
	}
	p, err := pins.Open(at)
	if err != nil && !errors.Is(err, pins.ErrLocked) {
		s.log.Warn("the steering is not pinned: it ends with this process, and so do the local routes", "because", err)
		return nil, nil
	}
	return p, err
}

// pinPlace is where the steering is pinned in the namespace.
func (s *Steering) pinPlace(cfg *config.Config) (pins.Place, error) {
	inode, err := s.inode()
	return pins.PlaceOf(cfg, inode), err
}

// linkIsDead reports whether no namespace has the link any more.
func (s *Steering) linkIsDead() bool {
	state, err := s.linkState()
	return err == nil && state == linkDetached
}
