package steering

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/host"
	"anyport/steering/program"
)

// returnPath is the way back for what origins send to the clients of routes with transparent: see
// [host.ReturnPath]. It is there from the first table with such a route until the process stops: a
// reload that leaves the key out keeps it, because live conns still need it. It belongs to a
// Steering, whose mutex guards it.
type returnPath struct {
	program   *ebpf.Program    // nil: see loadErr
	loadErr   error            // why there is no program
	host      *host.ReturnPath // nil before open and after release
	installed bool
	missing   []string // parts that others have removed and that could not be put back
	checkedAt time.Time
}

// fdReturning is the name of mark_returning in an Inheritance. A process without CAP_BPF takes
// it from the one before.
const fdReturning = "returning"

// wantsReturnPath reports whether cfg has a route with transparent.
func wantsReturnPath(cfg *config.Config) bool {
	return slices.ContainsFunc(cfg.Routes, func(r *config.Route) bool { return r.Transparent })
}

// openReturnPath loads the program, whether the file needs it or not: a reload may, and has no
// privilege to load it. What a dead process has left is removed, unless it is needed.
func (s *Steering) openReturnPath(cfg *config.Config, in Inheritance) (err error) {
	r := &s.returning
	if r.host, err = host.OpenReturnPath(); err != nil {
		return err
	}
	_, inherits := in[fdReturning]
	if r.program, r.loadErr = loadReturning(&s.objects); r.loadErr != nil {
		r.takeProgram(in)
	}
	if !cfg.Steering.ManageRoutes {
		return nil
	}
	there, err := r.found()
	switch {
	case err != nil || len(there) == 0:
		return err
	case inherits || wantsReturnPath(cfg):
		r.installed = true
		_, err = r.host.Refresh(r.fd())
		return err
	}
	return s.sweepReturnPath()
}

// loadReturning loads mark_returning with the maps of the steering program.
func loadReturning(steer *bpf.SteerObjects) (*ebpf.Program, error) {
	var objects struct {
		Program *ebpf.Program `ebpf:"mark_returning"`
	}
	spec, err := bpf.LoadReturning()
	if err != nil {
		return nil, err
	}
	err = spec.LoadAndAssign(&objects, &ebpf.CollectionOptions{MapReplacements: map[string]*ebpf.Map{
		bpf.ReturningMapGeneration: steer.Generation,
		bpf.ReturningMapPrefixesV4: steer.PrefixesV4,
		bpf.ReturningMapPrefixesV6: steer.PrefixesV6,
	}})
	if err != nil {
		return nil, fmt.Errorf("load the program mark_returning: %w", program.Advise(err))
	}
	return objects.Program, nil
}

// takeProgram takes the program that came with the upgrade command, or that of the process
// before: it does the same, of whatever build it is.
func (r *returnPath) takeProgram(in Inheritance) {
	for _, name := range []string{fdPreloaded + fdReturning, fdReturning} {
		if !in.Has(name) {
			continue
		}
		p, err := object(in, name, ebpf.NewProgramFromFD)
		if err == nil {
			r.program, r.loadErr = p, nil
			return
		}
		r.loadErr = errors.Join(r.loadErr, err)
	}
}

// fd is the descriptor of the program, -1 without one.
func (r *returnPath) fd() int {
	if r.program == nil {
		return -1
	}
	return r.program.FD()
}

// found lists the parts that are there.
func (r *returnPath) found() ([]host.Part, error) {
	parts, err := r.host.Parts(-1)
	return slices.DeleteFunc(parts, func(p host.Part) bool { return !p.There }), err
}

// installReturnPath adds the way back if cfg needs it. It is called before cfg comes into service.
func (s *Steering) installReturnPath(cfg *config.Config) error {
	r := &s.returning
	if r.installed || !wantsReturnPath(cfg) {
		return nil
	}
	if r.program == nil {
		return fmt.Errorf("transparent needs a program that this process could not load: restart anyport: %w", r.loadErr)
	}
	if _, err := r.host.Refresh(r.fd()); err != nil {
		_, undo := r.host.Uninstall()
		return errors.Join(fmt.Errorf("install the way back for transparent: %w", err), undo)
	}
	r.installed = true
	return nil
}

// restore puts back what others have removed, and gives new interfaces their filter. It looks when
// interfaces or rules have changed, and otherwise every returnInterval: the kernel reports neither
// filters nor routes of other tables to the monitor.
func (r *returnPath) restore(now time.Time, changed bool) (restored []string, err error) {
	if !r.installed || r.program == nil || !changed && now.Sub(r.checkedAt) < returnInterval {
		return nil, nil
	}
	r.checkedAt = now
	restored, err = r.host.Install(r.fd())
	r.missing = nil
	if err != nil {
		r.missing = strings.Split(err.Error(), "\n")
	}
	return restored, err
}

const returnInterval = 5 * time.Second

// lacking lists the parts that are not there now.
func (r *returnPath) lacking() (lines []string) {
	if !r.installed {
		return nil
	}
	parts, err := r.host.Parts(-1)
	if err != nil {
		return []string{err.Error()}
	}
	for _, p := range parts {
		if !p.There {
			lines = append(lines, fmt.Sprintf("the %s is missing: answers of origins to clients of transparent routes are lost", p.Name))
		}
	}
	return lines
}

// sweepReturnPath removes the way back, whoever has added it, unless another anyport of this
// namespace lives: it may need it, and is then the one that removes it.
func (s *Steering) sweepReturnPath() error {
	if others, err := s.otherInstances(); err != nil || len(others) > 0 {
		return err
	}
	removed, err := s.returning.host.Uninstall()
	if len(removed) > 0 {
		s.log.Info("removed the way back for transparent routes", "parts", removed)
	}
	return err
}

// endReturnPath removes the way back at the end of the steering. The caller holds mu.
func (s *Steering) endReturnPath() error {
	if !s.returning.installed || s.isClosed() {
		return nil
	}
	s.returning.installed = false
	return s.sweepReturnPath()
}

// close closes what this process has of it, and removes nothing.
func (r *returnPath) close() error {
	err := r.program.Close()
	r.host.Close()
	*r = returnPath{}
	return err
}
