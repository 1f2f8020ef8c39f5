package steering

import (
	"errors"
	"io/fs"
	"os"
	"slices"

	"anyport/config"
	"anyport/steering/pins"
)

// leftoverPins is what a dead instance has pinned. It is a Steering of which only the program,
// the pins and the namespace are there, and which can only be removed.
type leftoverPins struct{ Steering }

// findLeftovers opens what is pinned in the place of cfg, and in all places that an anyport has
// chosen: for this network namespace, or for one that has ended. It locks them. That somebody
// else has locked the place of cfg is an error: there is a process. What it returns is to be
// closed, on error too.
func findLeftovers(cfg *config.Config, netns *os.File) (all []*leftoverPins, err error) {
	s := Steering{netns: netns}
	own, err := s.pinPlace(cfg)
	if err != nil {
		return nil, err
	}
	for _, at := range append([]pins.Place{own}, slices.DeleteFunc(pins.AutoPlaces(own.Owners), func(p pins.Place) bool { return p.Path == own.Path })...) {
		r, openErr := openLeftover(at, netns)
		switch {
		case openErr != nil && at.Path == own.Path:
			err = openErr
		case openErr == nil && r != nil:
			all = append(all, r)
		}
	}
	return all, err
}

// openLeftover returns nil where nothing is pinned that is of concern here.
func openLeftover(at pins.Place, netns *os.File) (*leftoverPins, error) {
	if at.Path == "" || at.OnBPFFS() != nil {
		return nil, nil
	}
	p, err := pins.OpenExisting(at)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := &leftoverPins{Steering{netns: netns, pins: p}}
	p.Saved = true
	r.loaded, err = p.Load()
	state := linkDetached
	if err == nil {
		state, err = r.linkState()
	}
	if err == nil && state == linkElsewhere {
		err = errElsewhere
	}
	if err != nil {
		return nil, errors.Join(err, r.release())
	}
	return r, nil
}

// removeAll ends the steering. It has each thing removed by do.
func (r *leftoverPins) removeAll(do func(what string, remove func() error) error) error {
	if r.loaded.Link != nil {
		if err := do("the steering program's link", r.loaded.Link.Detach); err != nil {
			return err
		}
	}
	names, err := r.pins.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := do(r.pins.DisplayName(name), func() error { return os.Remove(r.pins.FDPath(name)) }); err != nil {
			return err
		}
	}
	return do(r.pins.Path, func() error { return os.Remove(r.pins.Path) })
}

// release leaves what is still pinned.
func (r *leftoverPins) release() error {
	return errors.Join(r.loaded.Close(), r.pins.Close())
}

func closeAll(all []*leftoverPins) error {
	var errs []error
	for _, r := range all {
		errs = append(errs, r.release())
	}
	return errors.Join(errs...)
}
