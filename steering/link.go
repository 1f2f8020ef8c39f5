package steering

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"anyport/steering/program"
)

// linkState is what other processes may have done to our link.
type linkState string

const (
	linkAttached     linkState = "attached"
	linkDetached     linkState = "detached" // or never attached; such a link cannot be attached again
	linkOtherProgram linkState = "given another program"
	linkElsewhere    linkState = "in another network namespace"
)

var errElsewhere = errors.New("the steering that is there already serves another network namespace: run anyport in that one, or name another directory in steering.pin")

// linkStateOf judges a link by what the kernel says about it: it should have program, in the
// namespace of that inode.
func linkStateOf(info *link.Info, program ebpf.ProgramID, inode uint64) linkState {
	switch ns := info.NetNs(); {
	case ns == nil || ns.NetnsInode == 0:
		return linkDetached
	case uint64(ns.NetnsInode) != inode:
		return linkElsewhere
	case info.Program != program:
		return linkOtherProgram
	}
	return linkAttached
}

// ensureAttached attaches the program if it is not, and returns what the state was.
func (s *Steering) ensureAttached() (linkState, error) {
	state, err := s.linkState()
	if err != nil {
		return state, err
	}
	switch state {
	case linkDetached:
		err = s.relink()
	case linkOtherProgram:
		err = s.loaded.Link.Update(s.loaded.Program)
	case linkElsewhere:
		return state, errElsewhere
	}
	if err != nil {
		return state, fmt.Errorf("attach the steering program: %w", program.AdviseLink(err))
	}
	return state, nil
}

// linkState asks the kernel, which wants no capability for it.
func (s *Steering) linkState() (linkState, error) {
	if s.loaded.Link == nil {
		return linkDetached, nil
	}
	info, err := s.loaded.Link.Info()
	if err != nil {
		return "", fmt.Errorf("read about the link of the steering program: %w", err)
	}
	id, err := s.programID()
	if err != nil {
		return "", err
	}
	inode, err := s.inode()
	return linkStateOf(info, id, inode), err
}

// inode is the number that identifies a network namespace in the kernel.
func (s *Steering) inode() (uint64, error) {
	var ns unix.Stat_t
	if err := unix.Fstat(int(s.netns.Fd()), &ns); err != nil {
		return 0, fmt.Errorf("read about this network namespace: %w", err)
	}
	return ns.Ino, nil
}

// relink attaches the program by a new link.
func (s *Steering) relink() error {
	l, err := link.AttachNetNs(int(s.netns.Fd()), s.loaded.Program)
	if err != nil {
		return err
	}
	err = s.loaded.CloseLink()
	s.loaded.Link = l
	err = errors.Join(err, s.guardLink())
	if s.pins != nil && s.pins.Saved {
		err = errors.Join(err, s.pins.SaveLink(l))
	}
	return err
}

func (s *Steering) programID() (ebpf.ProgramID, error) { return program.IDOf(s.loaded.Program) }

// ownPrograms returns the ids of our program, and of the one that it replaces.
func (s *Steering) ownPrograms() ([]uint32, error) {
	own, err := program.IDOf(s.loaded.Program)
	if err != nil {
		return nil, err
	}
	former, err := program.IDOf(s.formerProgram)
	return append([]uint32{uint32(own), uint32(former)}, s.deadPrograms...), err
}

// foreignPrograms returns the ids of the other sk_lookup programs of the namespace. They are not
// known where this process may not ask: that takes CAP_NET_ADMIN.
func (s *Steering) foreignPrograms() (ids []uint32, known bool, err error) {
	own, err := s.ownPrograms()
	if err != nil {
		return nil, false, err
	}
	result, err := link.QueryPrograms(link.QueryOptions{Target: int(s.netns.Fd()), Attach: ebpf.AttachSkLookup})
	if errors.Is(err, unix.EPERM) || errors.Is(err, ebpf.ErrNotSupported) { // what its probe makes of EPERM
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("list the sk_lookup programs: %w", err)
	}
	for _, p := range result.Programs {
		if !slices.Contains(own, uint32(p.ID)) {
			ids = append(ids, uint32(p.ID))
		}
	}
	return ids, true, nil
}
