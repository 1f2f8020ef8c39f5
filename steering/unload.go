package steering

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"

	"anyport/config"
)

// Unload removes what a process that is gone has left in this thread's network
// namespace and in the directory of steering.pin: local routes first, then the link,
// so that nothing falls through to the host's listeners. It says what it removed, on
// error too, and refuses while the process is there.
func Unload(cfg *config.Config, log *slog.Logger) (removed []string, err error) {
	runtime.LockOSThread() // the namespace is the thread's
	defer runtime.UnlockOSThread()

	u := &unloading{Steering: Steering{log: log}}
	if u.netns, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return nil, fmt.Errorf("open this network namespace: %w", err)
	}
	err = errors.Join(u.run(cfg.Steering.Pin), u.close(true))
	return u.removed, err
}

// unloading is a steering that only ends.
type unloading struct {
	Steering
	removed []string
}

func (u *unloading) run(pin string) error {
	if err := u.openPinned(pin); err != nil {
		return err
	}
	if err := u.removeRoutes(); err != nil {
		return err
	}
	if u.pins == nil {
		return nil
	}
	if u.link != nil {
		if err := u.link.Detach(); err != nil {
			return fmt.Errorf("detach the steering program: %w", advise(err))
		}
	}
	if err := u.pins.remove(u.gone); err != nil {
		return err
	}
	if err := os.Remove(pin); err != nil {
		return err
	}
	u.gone(pin)
	return nil
}

func (u *unloading) gone(what string) { u.removed = append(u.removed, what) }

// openPinned opens what is pinned, if anything is.
func (u *unloading) openPinned(pin string) (err error) {
	if pin == "" || !inBPFFS(pin) {
		return nil
	}
	if u.pins, err = lockPins(pin); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if u.estate, err = u.pins.load(); err != nil || u.link == nil {
		return err
	}
	state, err := u.linkState()
	if state == elsewhere {
		err = errElsewhere
	}
	return err
}

// removeRoutes leaves them where another program is at work, whose they may be.
func (u *unloading) removeRoutes() (err error) {
	if u.routes, err = newLocalRoutes(); err != nil {
		return err
	}
	if err := u.adoptRoutes(); err != nil {
		return err
	}
	for _, c := range u.routes.removal() {
		if err := u.routes.do(c); err != nil {
			return err
		}
		u.gone(fmt.Sprintf("route local %s dev lo", c.prefix))
	}
	return nil
}
