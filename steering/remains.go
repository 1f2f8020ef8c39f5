package steering

import (
	"errors"
	"io/fs"
	"os"
	"slices"

	"anyport/config"
)

// remains is what an instance that is gone has pinned: a steering that only ends.
type remains struct{ Steering }

// remainsOf opens what is pinned in the place of cfg, and in all places that an anyport has
// chosen: for this network namespace, or for one that is gone. It locks them. That somebody
// else has locked the place of cfg is an error: there is a process. What it returns is to be
// closed, on error too.
func remainsOf(cfg *config.Config, netns *os.File) (all []*remains, err error) {
	s := Steering{netns: netns}
	own, err := s.place(cfg)
	if err != nil {
		return nil, err
	}
	for _, at := range append([]place{own}, slices.DeleteFunc(autoPlaces(own.users), func(p place) bool { return p.path == own.path })...) {
		r, openErr := openRemains(at, netns)
		switch {
		case openErr != nil && at.path == own.path:
			err = openErr
		case openErr == nil && r != nil:
			all = append(all, r)
		}
	}
	return all, err
}

// openRemains returns nil where nothing is pinned that is of concern here.
func openRemains(at place, netns *os.File) (*remains, error) {
	if at.path == "" || at.inBPFFS() != nil {
		return nil, nil
	}
	p, err := lockPins(at)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := &remains{Steering{netns: netns, pins: p}}
	p.kept = true
	r.loaded, err = p.load()
	state := detached
	if err == nil {
		state, err = r.linkState()
	}
	if err == nil && state == elsewhere {
		err = errElsewhere
	}
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

// remove ends the steering. It has each thing removed by do.
func (r *remains) remove(do func(what string, remove func() error) error) error {
	if r.loaded.link != nil {
		if err := do("the steering program's link", r.loaded.link.Detach); err != nil {
			return err
		}
	}
	names, err := r.pins.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := do(r.pins.file(name), func() error { return os.Remove(r.pins.at(name)) }); err != nil {
			return err
		}
	}
	return do(r.pins.path, func() error { return os.Remove(r.pins.path) })
}

// close leaves what is still pinned.
func (r *remains) close() error {
	return errors.Join(r.loaded.close(), r.pins.close())
}

func closeAll(all []*remains) error {
	var errs []error
	for _, r := range all {
		errs = append(errs, r.close())
	}
	return errors.Join(errs...)
}
