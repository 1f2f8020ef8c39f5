package shadow

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"anyport/config"
)

// control acts on signals, and judges what has waited long enough. It is the only goroutine that asks for sockets.
func (s *shadow) control(ctx context.Context, failed <-chan error) error {
	ticks, logs := time.NewTicker(tickInterval), time.NewTicker(logInterval)
	defer ticks.Stop()
	defer logs.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case now := <-ticks.C:
			s.tick(now)
		case <-logs.C:
			s.logCounts()
		case sig := <-s.opt.Signals:
			if sig != syscall.SIGHUP && sig != syscall.SIGUSR2 {
				s.tick(time.Now()) // counts what the queue has lost
				return nil
			}
			if sig == syscall.SIGHUP {
				_ = s.reload() // the log has the reason
			}
		}
	}
}

// read feeds the follower. After readsPerTurn packets it rests for what is left of the turn.
func (s *shadow) read() error {
	for {
		begun := time.Now()
		for range readsPerTurn {
			p, w, err := s.capture.next()
			if errors.Is(err, os.ErrClosed) {
				return nil
			}
			if err != nil {
				return err
			}
			s.mu.Lock()
			s.follower.see(s.table, p, w, time.Now())
			s.mu.Unlock()
		}
		time.Sleep(turn - time.Since(begun))
	}
}

// tick judges. What it asks the kernel, it asks without the lock.
func (s *shadow) tick(now time.Time) {
	s.mu.Lock()
	follower := s.follower
	answered := follower.tick(now)
	s.lost += s.capture.lost()
	s.mu.Unlock()

	found, err := holders(answered)
	if err != nil {
		s.log.Warn("cannot find out which sockets have answered", "error", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, a := range answered {
		today := BySocket
		if i < len(found) {
			today = found[i]
		}
		follower.count.judged(a.tuple, a.decision, today)
	}
	if s.opt.Watchdog > 0 && s.opt.Manager.Alive() != nil {
		s.log.Debug("cannot feed the watchdog")
	}
}

// logCounts writes a line for each route, and one for each difference.
func (s *shadow) logCounts() {
	status := s.status().Shadow
	for _, r := range status.Routes {
		if r.Seen > 0 {
			s.log.Info("shadow: counted", "route", r.Name, "seen", r.Seen, "would", r.Would, "today", r.Today)
		}
		for _, d := range r.Differences {
			s.log.Warn("shadow: a difference", "route", r.Name, "meaning", d.Meaning, "count", d.Count, "most", d.Top[0])
		}
	}
}

// reload reads the file again. If it is refused, the old one is rehearsed on.
func (s *shadow) reload() error {
	c, err := config.Load(s.config.Path)
	if err == nil {
		err = s.use(c)
	}
	s.mu.Lock()
	s.refused = ""
	if err != nil {
		s.refused = err.Error()
	}
	s.mu.Unlock()
	if err != nil {
		s.log.Error("reload refused: the old config is rehearsed on", "problem", err)
		return err
	}
	if err := s.capture.want(s.wantsUDP()); err != nil {
		return err
	}
	s.log.Info("reloaded: the counts begin at zero", "generation", s.number)
	return nil
}
