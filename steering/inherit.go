package steering

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"anyport/config"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Inheritance is the file descriptors of a steering on their way to another process,
// or to a store of them, by names that stay the same: the sockets, the program, its
// link and maps. All that is to be known of them besides is in the maps.
type Inheritance map[string]int

// Names of file descriptors; those of maps and sockets are followed by which.
const (
	fdProgram    = "program"
	fdLink       = "link"
	fdMap        = "map/"
	fdGrace      = "grace/outer"
	fdGraceInner = "grace/inner"
)

// Handover returns what another process needs to go on where this one leaves. The
// descriptors still belong to the steering: send copies of them. From then on, put no
// table in service, and call Release when the other serves, or Reclaim if it does not.
func (s *Steering) Handover() Inheritance {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := Inheritance{}
	if s.closed() {
		return in
	}
	in[fdProgram], in[fdLink] = s.program.FD(), s.link.FD()
	in[fdGrace], in[fdGraceInner] = s.grace.outer.FD(), s.grace.inner.FD()
	for name, m := range s.maps {
		in[fdMap+name] = m.FD()
	}
	for slot, fds := range s.sockets {
		for i, fd := range fds {
			in[socketName(slot, i)] = fd
		}
	}
	return in
}

func socketName(slot, i int) string { return slotNames[slot] + "/" + strconv.Itoa(i) }

// Inherit opens the steering with what another process gave, and opens what is not in
// there anew. It owns the descriptors, on error too. At no moment is anything refused
// that the tables before and after both serve.
//
// With the program in it, Inherit makes no maps and loads nothing, and does with fewer
// privileges than Open; the program must be of the same build. Until the giver has
// called Release, leave with Release too: Close would end the steering of both.
func Inherit(cfg *config.Config, table *Table, in Inheritance, log *slog.Logger) (*Steering, error) {
	s := &Steering{log: log}
	if err := errors.Join(s.open(cfg, table, in), in.close()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.outlives = false
	return s, nil
}

func (s *Steering) open(cfg *config.Config, table *Table, in Inheritance) (err error) {
	runtime.LockOSThread() // the namespace is the thread's
	defer runtime.UnlockOSThread()

	if s.netns, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return fmt.Errorf("open this network namespace: %w", err)
	}
	if err := s.openEstate(table, in); err != nil {
		return err
	}
	if err := s.sockets.open(cfg.Listen, in, s.log); err != nil {
		return err
	}
	if err := s.sockets.put(s.objects.Sockets, slices.Concat(serving, holes)...); err != nil {
		return err
	}
	if _, err := s.attach(); err != nil {
		return err
	}
	if err := s.openRoutes(); err != nil {
		return err
	}
	return s.replace(cfg, table)
}

// openEstate takes what is in the kernel from in, or makes it.
func (s *Steering) openEstate(table *Table, in Inheritance) (err error) {
	if _, inherited := in[fdProgram]; inherited {
		if err := s.inherit(in); err != nil {
			return fmt.Errorf("inherit the steering: %w", err)
		}
		return nil
	}
	if err := checkPrivileges(); err != nil {
		return err
	}
	if s.estate, err = newEstate(table); err != nil {
		return fmt.Errorf("load the steering program: %w", advise(err))
	}
	s.table = new(Table)
	return s.assign(&s.objects)
}

// inherit takes what is in the kernel from in.
func (s *Steering) inherit(in Inheritance) (err error) {
	s.outlives = true
	if s.estate, err = in.estate(); err != nil {
		return err
	}
	if err := s.assign(&s.objects); err != nil {
		return err
	}
	return s.recall()
}

func (s *Steering) openRoutes() (err error) {
	if s.routes, err = newLocalRoutes(); err != nil {
		return err
	}
	return s.adoptRoutes()
}

// adoptRoutes takes over the local routes that another process left, unless a foreign
// program is here, whose they may be.
func (s *Steering) adoptRoutes() error {
	others, err := s.foreign()
	if err != nil {
		return err
	}
	if len(others) > 0 {
		s.log.Warn("other sk_lookup programs are attached here; a socket that one of them chooses wins", "programs", others)
		return nil
	}
	return s.routes.adopt()
}

// Reclaim undoes a hand-over that came to nothing: whatever the other process has put
// in service, the table of this one serves again.
func (s *Steering) Reclaim() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed() {
		return nil
	}
	table := s.table
	if err := errors.Join(s.recall(), s.adoptRoutes()); err != nil {
		return err
	}
	if err := s.sockets.put(s.objects.Sockets, slices.Concat(serving, holes)...); err != nil {
		return err
	}
	return s.replace(s.config, table)
}

// estate takes the program, its link and its maps out of in. On error it returns
// what is to be closed.
func (in Inheritance) estate() (e estate, err error) {
	if e.program, err = adopt(in, fdProgram, ebpf.NewProgramFromFD); err != nil {
		return e, err
	}
	if e.link, err = adopt(in, fdLink, netNsLink); err != nil {
		return e, err
	}
	e.grace = new(grace)
	if e.grace.outer, err = adopt(in, fdGrace, ebpf.NewMapFromFD); err != nil {
		return e, err
	}
	if e.grace.inner, err = adopt(in, fdGraceInner, ebpf.NewMapFromFD); err != nil {
		return e, err
	}
	e.maps = make(map[string]*ebpf.Map)
	for _, name := range slices.Collect(maps.Keys(in)) {
		if short, ok := strings.CutPrefix(name, fdMap); ok {
			if e.maps[short], err = adopt(in, name, ebpf.NewMapFromFD); err != nil {
				return e, err
			}
		}
	}
	return e, nil
}

func netNsLink(fd int) (*link.NetNsLink, error) {
	l, err := link.NewFromFD(fd)
	if err != nil {
		return nil, err
	}
	if l, ok := l.(*link.NetNsLink); ok {
		return l, nil
	}
	return nil, errors.Join(errors.New("it is no link to a network namespace"), l.Close())
}

// adopt makes an object of the file descriptor of that name.
func adopt[T any](in Inheritance, name string, from func(fd int) (T, error)) (object T, err error) {
	fd, ok := in.take(name)
	if !ok {
		return object, fmt.Errorf("%s is missing", name)
	}
	if object, err = from(fd); err != nil {
		return object, fmt.Errorf("%s: %w", name, err)
	}
	return object, nil
}

// take returns the file descriptor of that name, which then is the caller's.
func (in Inheritance) take(name string) (fd int, ok bool) {
	if fd, ok = in[name]; ok {
		delete(in, name)
		unix.CloseOnExec(fd)
	}
	return fd, ok
}

// close closes what nobody has taken.
func (in Inheritance) close() error {
	var errs []error
	for _, fd := range in {
		errs = append(errs, unix.Close(fd))
	}
	clear(in)
	return errors.Join(errs...)
}
