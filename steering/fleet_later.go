package steering

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"anyport/steering/fleet"
	"anyport/steering/program"
)

// A process gives up the privileges to load programs before it serves. If a reload brings peers to one that
// began without, a command of root loads what asks them, and passes it on: [PreloadFleet].

// PreloadFleet loads what asks the peers, for the process whose steering program has that id. It returns nil if
// this process may not look at that one, which requires CAP_SYS_ADMIN.
func PreloadFleet(serving uint32) (*Preloaded, error) {
	running, err := ebpf.NewProgramFromID(ebpf.ProgramID(serving))
	if err != nil {
		return nil, nil
	}
	defer running.Close()
	served, err := fleet.ServedBy(running)
	if err != nil {
		return nil, err
	}
	defer served.Close()
	o, err := fleet.Load(served)
	if err != nil {
		return nil, err
	}
	return &Preloaded{fleet: o}, nil
}

// AddFleet has this process able to ask peers, if it is not yet: with what PreloadFleet has loaded in another one,
// or by loading it. It owns the descriptors. Nothing changes for packets until Set.
func (s *Steering) AddFleet(in Inheritance) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { err = errors.Join(err, in.Close()) }()
	if s.fleet != nil || s.isClosed() {
		return nil
	}
	o, err := s.addedObjects(in)
	if err == nil {
		err = s.fast.Tolerate(o.Programs()...)
	}
	if err != nil {
		return errors.Join(err, o.Close())
	}
	f, err := fleet.Open(o, nil, s.log)
	if err == nil {
		s.fleet, s.fleetErr = f, nil
	}
	return err
}

// addedObjects are those in the Inheritance, or new ones.
func (s *Steering) addedObjects(in Inheritance) (*fleet.Objects, error) {
	served := servedMaps(&s.objects.SteerMaps)
	o, err := in.takeFleet(fdPreloaded)
	switch {
	case err != nil:
		return nil, err
	case o == nil:
		if err := program.CheckPrivileges(); err != nil {
			return nil, errNoPeers
		}
		return fleet.Load(served)
	}
	if err := o.CheckBuild(served); err != nil {
		return o, fmt.Errorf("the command has loaded something else than this process needs: give it from the same binary, or restart anyport: %w", err)
	}
	return o, nil
}

// MayAddFleet says why AddFleet would fail that gets nothing, as far as that is known; nil: peers can be asked already.
func (s *Steering) MayAddFleet() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fleet != nil {
		return nil
	}
	if err := program.CheckPrivileges(); err != nil {
		return errNoPeers
	}
	return nil
}

// ReplacesProgram reports whether the steering program of another build is among what was preloaded.
func (in Inheritance) ReplacesProgram() bool { return in.Has(fdPreloaded + fdProgram) }

// DropFleet undoes AddFleet.
func (s *Steering) DropFleet() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.fleet.Close()
	s.fleet, s.fleetErr = nil, errNoPeers
	return errors.Join(err, s.pins.RemoveFleet())
}
