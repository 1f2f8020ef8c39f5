package steering

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"

	"anyport/config"
	"anyport/steering/announce"
	"anyport/steering/host"
	"anyport/steering/instances"
	"anyport/steering/pins"
	"anyport/steering/program"
	"anyport/steering/table"
)

// Unload removes what dead processes have left in this thread's network namespace
// and in a bpffs, in the directory of steering.pin and in those that anyport chooses: local
// routes first, then the links, so that nothing falls through to the host's listeners. It
// says what it removed, on error too, and refuses while the process is there.
func Unload(cfg *config.Config, log *slog.Logger) (removed []string, err error) {
	return unload(cfg, log, false)
}

// Leftovers lists what [Unload] would remove, and removes nothing. What a process uses is
// none.
func Leftovers(cfg *config.Config) ([]string, error) {
	return unload(cfg, slog.New(slog.DiscardHandler), true)
}

func unload(cfg *config.Config, log *slog.Logger, dry bool) (found []string, err error) {
	runtime.LockOSThread() // the namespace is the thread's
	defer runtime.UnlockOSThread()

	u := &unloader{Steering: Steering{log: log}, dryRun: dry}
	if u.netns, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return nil, fmt.Errorf("open this network namespace: %w", err)
	}
	err = errors.Join(u.run(cfg), u.release(true))
	return u.found, err
}

// unloader is a Steering that is never opened: it lends its methods to find what is left.
type unloader struct {
	Steering
	dryRun bool // only look
	found  []string
}

// run removes the routes first: while the links still refuse, nothing reaches the listeners.
func (u *unloader) run(cfg *config.Config) (err error) {
	dead, err := findLeftovers(cfg, u.netns)
	defer func() { err = errors.Join(err, closeAll(dead)) }()
	if err != nil && !(u.dryRun && errors.Is(err, pins.ErrLocked)) {
		return err
	}
	for _, r := range dead {
		own, err := r.ownPrograms()
		if err != nil {
			return err
		}
		u.deadPrograms = append(u.deadPrograms, own...)
	}
	if err := errors.Join(u.removeAnnounced(), u.removeReturnPath(), u.removeFilters(), u.removeRoutes()); err != nil {
		return err
	}
	for _, r := range dead {
		if err := r.removeAll(u.removeOrNote); err != nil {
			return err
		}
	}
	return nil
}

// removeOrNote does away with something, or only notes it.
func (u *unloader) removeOrNote(what string, do func() error) error {
	if !u.dryRun {
		if err := do(); err != nil {
			return fmt.Errorf("remove %s: %w", what, program.AdviseLink(err))
		}
	}
	u.found = append(u.found, what)
	return nil
}

// removeRoutes leaves them where another program is at work, whose they may be, and those of
// instances that live.
func (u *unloader) removeRoutes() (err error) {
	if u.routes, err = host.OpenLocalRoutes(); err != nil {
		return err
	}
	left, err := u.leftRoutes(table.Empty())
	if err != nil {
		return err
	}
	for _, r := range left {
		what := fmt.Sprintf("route local %s dev %s", r.Prefix, u.routes.DeviceName(r.Device))
		err := u.removeOrNote(what, func() error { return u.routes.Delete(r) })
		if err != nil {
			return err
		}
	}
	return u.removeDevices()
}

// removeReturnPath leaves the way back to an instance that lives.
func (u *unloader) removeReturnPath() (err error) {
	others, err := u.otherInstances()
	if err != nil || len(others) > 0 {
		return err
	}
	if u.returning.host, err = host.OpenReturnPath(); err != nil {
		return err
	}
	parts, err := u.returning.found()
	for i := len(parts) - 1; i >= 0 && err == nil; i-- {
		err = u.removeOrNote(parts[i].Name, parts[i].Remove)
	}
	return err
}

// removeAnnounced leaves what an instance that lives may announce.
func (u *unloader) removeAnnounced() error {
	others, err := u.otherInstances()
	if err != nil || len(others) > 0 {
		return err
	}
	left, err := announce.Leftovers()
	for _, l := range left {
		err = errors.Join(err, u.removeOrNote(l.Name, l.Remove))
	}
	return err
}

// removeDevices removes those that no living instance has. They end with their process, unless
// the service manager keeps their descriptor.
func (u *unloader) removeDevices() error {
	others, err := u.otherInstances()
	if err != nil {
		return err
	}
	devices, err := u.routes.TUNDevices(func(name string) bool {
		return slices.ContainsFunc(others, func(i instances.Instance) bool { return i.Device == name })
	})
	for _, d := range devices {
		if err := u.removeOrNote("network device "+d.Attrs().Name, func() error { return u.routes.DeleteDevice(d) }); err != nil {
			return err
		}
	}
	return err
}
