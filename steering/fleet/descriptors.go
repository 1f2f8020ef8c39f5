package fleet

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Names of file descriptors on their way to another process. They are part of the protocol between
// builds: programs and maps have their names of fleet.bpf.c, links "link/PROGRAM/INTERFACE INDEX". What filters
// of tc run, where the kernel has no links, begins with "hook/PROGRAM/".
const (
	fdProgram = "program/"
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
	for name, p := range o.programs() {
		all[fdProgram+name] = p.program.FD()
		p.links.Descriptors(all, fdLink+name+"/", fdHook+name+"/")
	}
	for name, m := range o.maps() {
		all[fdMap+name] = (*m).FD()
	}
	if fd := descriptorOf(o.socket); fd >= 0 {
		all[fdSocket] = fd
	}
	return all
}

// FromDescriptors makes objects of what another process has given. It owns them, on error too.
func FromDescriptors(all map[string]int) (*Objects, error) {
	o := newObjects()
	var errs []error
	for name, fd := range all {
		if err := o.adopt(name, fd); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	for name, p := range o.programs() {
		if p.program == nil {
			errs = append(errs, fmt.Errorf("the program %s is missing", name))
		}
		errs = append(errs, p.links.Check())
	}
	for name, m := range o.maps() {
		if *m == nil {
			errs = append(errs, fmt.Errorf("the map %s is missing", name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(fmt.Errorf("inherit the fleet's part in the kernel: %w", err), o.Close())
	}
	return o, nil
}

// adopt makes one object of a descriptor. One of an unknown name is closed: another build has it.
func (o *Objects) adopt(name string, fd int) (err error) {
	kind, rest, _ := strings.Cut(name, "/")
	programName, index, _ := strings.Cut(rest, "/")
	p, m := o.programs()[programName], o.maps()[rest]
	switch {
	case kind+"/" == fdProgram && p != nil:
		p.program, err = ebpf.NewProgramFromFD(fd)
	case kind+"/" == fdMap && m != nil:
		*m, err = ebpf.NewMapFromFD(fd)
	case kind+"/" == fdLink && p != nil:
		err = p.links.Links.AdoptDescriptor(index, fd)
	case kind+"/" == fdHook && p != nil:
		err = p.links.AdoptHook(index, fd)
	case name == fdSocket:
		o.socket, err = inherit(fd)
	default:
		err = unix.Close(fd)
	}
	return err
}
