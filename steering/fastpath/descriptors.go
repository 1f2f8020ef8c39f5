package fastpath

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Names of file descriptors on their way to another process. They are part of the protocol between
// builds: maps have theirs of fast.bpf.c, links are followed by the interface index. The hook is what filters
// of tc run, where the kernel has no links.
const (
	fdProgram = "program"
	fdMap     = "map/"
	fdLink    = "link/"
	fdHook    = "hook/"
)

// Descriptors are the file descriptors of o by name. They still belong to o.
func (o *Objects) Descriptors() map[string]int {
	all := map[string]int{}
	if o == nil {
		return all
	}
	all[fdProgram] = o.Program.FD()
	for name, m := range o.maps() {
		all[fdMap+name] = (*m).FD()
	}
	o.Attached.Descriptors(all, fdLink, fdHook)
	return all
}

// FromDescriptors makes objects of them. It owns them, on error too.
func FromDescriptors(all map[string]int) (*Objects, error) {
	o := &Objects{Attached: NewAttachments()}
	var errs []error
	for name, fd := range all {
		errs = append(errs, o.take(name, fd))
	}
	for name, m := range o.maps() {
		if *m == nil {
			errs = append(errs, fmt.Errorf("%s is missing", name))
		}
	}
	if o.Program == nil {
		errs = append(errs, errors.New("the program is missing"))
	}
	errs = append(errs, o.Attached.Check())
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(fmt.Errorf("inherit the fast path: %w", err), o.Close())
	}
	return o, nil
}

// take makes one object of a descriptor. One of an unknown name is closed: another build has it.
func (o *Objects) take(name string, fd int) (err error) {
	mapName, isMap := strings.CutPrefix(name, fdMap)
	index, isLink := strings.CutPrefix(name, fdLink)
	part, isHook := strings.CutPrefix(name, fdHook)
	switch {
	case name == fdProgram:
		o.Program, err = ebpf.NewProgramFromFD(fd)
	case isMap && o.maps()[mapName] != nil:
		*o.maps()[mapName], err = ebpf.NewMapFromFD(fd)
	case isLink:
		err = o.Attached.Links.AdoptDescriptor(index, fd)
	case isHook:
		err = o.Attached.AdoptHook(part, fd)
	default:
		err = unix.Close(fd)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// AdoptLink closes l unless it still attaches a program to the device.
func (o *Objects) AdoptLink(index int, l link.Link) error { return o.Attached.Links.Adopt(index, l) }

// TakeLinks has what attaches another build's program attach the program of o, and closes the rest of it. This
// needs no privileges.
func (o *Objects) TakeLinks(before *Objects) error {
	return errors.Join(o.Attached.Take(before.Attached, o.Program), before.Close())
}
