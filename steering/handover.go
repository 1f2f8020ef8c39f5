package steering

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"anyport/steering/program"
)

// Inheritance is the file descriptors of a steering on their way to another process,
// or to a store of them, by names that stay the same: the sockets, the program, its
// link and maps. They are enough: what the next process has to know is in the maps.
type Inheritance map[string]int

// Names of file descriptors; those of maps and sockets are followed by which.
const (
	fdProgram    = "program"
	fdLink       = "link"
	fdMap        = "map/"
	fdGrace      = "grace/outer"
	fdGraceInner = "grace/inner"
	fdPins       = "pins"
	fdTUN        = "tun" // after "link" in the alphabet, see link_guard.go: systemd closes first what it was given last
)

// Link is the name of the link in an Inheritance.
const Link = fdLink

// Handover returns what another process needs to continue where this one stops. The
// descriptors still belong to the steering: send copies of them. From then on, put no
// table in service, and call Release when the other serves, or Reclaim if it does not.
func (s *Steering) Handover() Inheritance {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := Inheritance{}
	if s.isClosed() {
		return in
	}
	in.addProgram(&s.loaded, "")
	in[fdLink] = s.loaded.Link.FD()
	if s.pins != nil {
		in[fdPins] = s.pins.FD()
	}
	if s.returning.program != nil {
		in[fdReturning] = s.returning.program.FD()
	}
	in.addHook(s.hook, "")
	in.addFast(s.fast.Descriptors(), "")
	in.addFleet(s.fleet.Descriptors(), "")
	if fd, ok := s.routes.TUNFD(); ok {
		in[fdTUN] = fd
	}
	for slot, fds := range s.sockets {
		for i, fd := range fds {
			in[socketName(slot, i)] = fd
		}
	}
	return in
}

// Sockets returns only the sockets, for a process whose program is pinned.
func (in Inheritance) Sockets() Inheritance {
	only := Inheritance{}
	for slot := range slotNames {
		for i := 0; in.Has(socketName(slot, i)); i++ {
			only[socketName(slot, i)] = in[socketName(slot, i)]
		}
	}
	return only
}

// Has reports whether there is a descriptor of that name.
func (in Inheritance) Has(name string) bool { _, ok := in[name]; return ok }

// socketName is the name of the i-th socket of a slot. The names are part of the protocol between
// builds, as the constants above are.
func socketName(slot, i int) string { return slotNames[slot] + "/" + strconv.Itoa(i) }

// Reclaim undoes a hand-over that came to nothing: whatever the other process has put
// in service, the table of this one serves again.
func (s *Steering) Reclaim() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return nil
	}
	if err := errors.Join(s.readGeneration(), s.adoptRoutes(s.requested)); err != nil {
		return err
	}
	if err := s.sockets.putIntoMap(&s.objects.SteerMaps, slices.Concat(servingSlots, dropSlots)...); err != nil {
		return err
	}
	if err := s.replace(s.config, s.requested); err != nil {
		return err
	}
	return errors.Join(s.pinProgram(), s.reclaimFast())
}

// loaded takes the program, its maps and its link out of in. On error it returns what is
// to be closed.
func (in Inheritance) loaded() (e program.Loaded, err error) {
	if e, err = in.loadedWithoutLink(""); err != nil {
		return e, err
	}
	e.Link, err = object(in, fdLink, program.LinkFromFD)
	return e, err
}

// loadedWithoutLink takes the program and its maps whose names have the prefix. On error it returns what is to be
// closed.
func (in Inheritance) loadedWithoutLink(prefix string) (e program.Loaded, err error) {
	if e.Program, err = object(in, prefix+fdProgram, ebpf.NewProgramFromFD); err != nil {
		return e, err
	}
	e.GracePeriod = new(program.GracePeriod)
	if e.GracePeriod.Outer, err = object(in, prefix+fdGrace, ebpf.NewMapFromFD); err != nil {
		return e, err
	}
	if e.GracePeriod.Inner, err = object(in, prefix+fdGraceInner, ebpf.NewMapFromFD); err != nil {
		return e, err
	}
	e.Maps = make(map[string]*ebpf.Map)
	for _, name := range slices.Collect(maps.Keys(in)) {
		if short, ok := strings.CutPrefix(name, prefix+fdMap); ok {
			if e.Maps[short], err = object(in, name, ebpf.NewMapFromFD); err != nil {
				return e, err
			}
		}
	}
	return e, nil
}

// object makes one of the file descriptor of that name.
func object[T any](in Inheritance, name string, from func(fd int) (T, error)) (o T, err error) {
	fd, ok := in.take(name)
	if !ok {
		return o, fmt.Errorf("%s is missing", name)
	}
	if o, err = from(fd); err != nil {
		return o, fmt.Errorf("%s: %w", name, err)
	}
	return o, nil
}

// take returns the file descriptor of that name, which then is the caller's.
func (in Inheritance) take(name string) (fd int, ok bool) {
	if fd, ok = in[name]; ok {
		delete(in, name)
		unix.CloseOnExec(fd)
	}
	return fd, ok
}

// Close closes what nobody has taken.
func (in Inheritance) Close() error {
	var errs []error
	for _, fd := range in {
		errs = append(errs, unix.Close(fd))
	}
	clear(in)
	return errors.Join(errs...)
}

// addProgram adds the descriptors of the program, the maps and what waits for grace periods
// of e, under their names behind a prefix.
func (in Inheritance) addProgram(e *program.Loaded, prefix string) {
	in[prefix+fdProgram] = e.Program.FD()
	in[prefix+fdGrace], in[prefix+fdGraceInner] = e.GracePeriod.Outer.FD(), e.GracePeriod.Inner.FD()
	for name, m := range e.Maps {
		in[prefix+fdMap+name] = m.FD()
	}
}
