package crashloop

import "time"

// Pause leaves the records to the process that an upgrade starts.
func (g *Guard) Pause() {
	g.mu.Lock()
	g.still = true
	g.mu.Unlock()
	g.writer.flush(flushTimeout)
}

// Resume says that the upgrade has failed. The new process may have written meanwhile.
func (g *Guard) Resume() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.off != nil || g.serving == nil {
		return
	}
	g.still = false
	g.note(g.records.begin(*g.serving))
	if !g.serving.Lasted {
		g.serve(g.serving)
	}
}

// TakeOver says that this process is about to serve in the place of the one before, which has paused
// since before Open. It does not wait for the disk: clients wait.
func (g *Guard) TakeOver() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.off != nil || g.trying == nil {
		return
	}
	g.still = false
	g.note(g.records.begin(*g.trying))
}

// FindDeath reads the records again before TakeOver, since the process before has written them until it died. Its death
// counts as one that a start finds.
func (g *Guard) FindDeath() error {
	if g.Status().Off != "" {
		return nil
	}
	r, err := g.writer.dir.read() // without the mutex: it may hang
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	r.Path = g.opt.Path
	g.records = r.find(time.Now())
	return nil
}
