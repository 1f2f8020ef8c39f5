package daemon

import (
	"errors"
	"maps"
	"time"

	"anyport/cmd/anyport/internal/slowfs"
)

// open opens all that serving needs, or nothing. The order matters: what the process before offers is
// needed by the rest; everything that takes a privilege comes before the privileges are dropped; and
// another process serves until the last step.
func open(opt Options) (*daemon, error) {
	d := newDaemon(opt)
	d.openLog()
	d.secrets.note(opt.Config.Source())
	d.secrets.note(opt.Config.TableText())
	d.openLowFDs()
	if err := d.openPredecessor(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	steps := []func() error{d.takeTable, d.openFleet, d.openFiles, d.openAccount, d.openAccess, d.openAdmin, d.openHTTP, d.openRoutes, d.dropPrivileges, d.awaitGo}
	if d.before != nil && d.before.Trial {
		steps = []func() error{d.takeTable, d.openFiles, d.openAccount, d.openAccess, d.openTrial, d.dropPrivileges}
	}
	for _, acquire := range steps {
		if err := acquire(); err != nil {
			return nil, errors.Join(err, d.close())
		}
	}
	return d, nil
}

// newDaemon holds nothing yet that has to be closed.
func newDaemon(opt Options) *daemon {
	d := &daemon{
		opt:          opt,
		fleetGuard:   opt.fleetGuard,
		begun:        time.Now(),
		slow:         slowfs.New(readTimeout),
		systemFiles:  slowfs.New(systemFileTimeout),
		doorbell:     newDoorbell(),
		refusals:     make(chan closedService, 1024),
		healthNews:   make(chan struct{}, 1),
		announceNews: make(chan struct{}, 1),
		decisions:    make(chan func()),
		decided:      make(chan struct{}),
		stored:       map[string]int{},
	}
	maps.Copy(d.stored, opt.Stored)
	d.drains.Store(&drains{})
	return d
}

// close closes what is held, in reverse order, so that the log, which all others need, is the last. After a
// failed open it closes what was opened so far.
func (d *daemon) close() error {
	var errs []error
	for i := len(d.closers) - 1; i >= 0; i-- {
		errs = append(errs, d.closers[i]())
	}
	return errors.Join(errs...)
}
