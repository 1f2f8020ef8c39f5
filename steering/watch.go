package steering

import (
	"context"
	"errors"
	"sync"
	"time"

	"anyport/steering/host"
)

// watchInterval is how long a program stays detached at most. The kernel notifies nobody
// when it happens, and asking it costs a microsecond.
const watchInterval = time.Second

// Watch attaches the program again when somebody else has detached it, puts back the local
// routes and their device when somebody else has removed them, gives up the
// retired prefixes whose time is over, and takes old tables out of the kernel that
// are still there, until ctx ends. It returns nil: what it cannot do it logs, and
// tries again. It calls relinked after the program was attached by another link, whose
// descriptor Handover has: who keeps a copy of the old one keeps a dead link.
func (s *Steering) Watch(ctx context.Context, relinked func()) error {
	s.mu.Lock()
	monitor := s.monitor
	s.mu.Unlock()
	if monitor == nil { // closed
		return nil
	}
	defer monitor.EndWith(ctx)()
	ctx, end := context.WithCancel(ctx)
	var fast sync.WaitGroup
	defer fast.Wait()
	defer end() // also of a panic, which would wait for ever
	fast.Go(func() { s.fast.Watch(ctx) })
	last := ""
	for {
		h, monitorErr := monitor.Wait(ctx, time.Now().Add(watchInterval))
		if ctx.Err() != nil {
			return nil
		}
		if monitorErr != nil {
			time.Sleep(watchInterval)
		}
		replaced, err := s.check(time.Now(), h)
		if replaced {
			relinked()
		}
		last = s.logChange(last, errors.Join(monitorErr, err))
	}
}

// logChange logs what is not as it should be when that has changed, and returns it.
func (s *Steering) logChange(last string, err error) string {
	text := ""
	if err != nil {
		text = err.Error()
	}
	switch {
	case text == last:
	case text == "":
		s.log.Info("the steering is as it should be again")
	default:
		s.log.Error("the steering is not as it should be", "error", text)
	}
	return text
}

// check does what Watch does, once, and reports whether there is another link now.
func (s *Steering) check(now time.Time, h host.Changes) (replaced bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return false, nil
	}
	before := s.loaded.Link
	state, err := s.ensureAttached()
	if err == nil && state != linkAttached {
		s.log.Error("somebody else has touched the link of the steering program: it is attached again", "it_was", state)
	}
	pinned, pinErr := s.pins.Restore(&s.loaded)
	if pinned {
		s.log.Error("somebody else has removed pins of the steering: they are there again", "pin", s.pins.Path)
	}
	ingressErr := errors.Join(s.pinFast(), s.pinFleet())
	restored, returnErr := s.returning.restore(now, h.Links())
	if len(restored) > 0 {
		s.log.Warn("restored parts of the way back for transparent routes", "parts", restored)
	}
	replaced = s.fast.Relinked() || s.loaded.Link != before
	return s.fleet.Relinked() || replaced, errors.Join(err, pinErr, ingressErr, returnErr, s.keeper.Restore(now, h), s.eraseIdle(), s.dropExpired(now))
}
